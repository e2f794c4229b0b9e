use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a random stream is drawn for. Each use has its own stream, so that adding one leaves the others as they were.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The order of an epoch.
    EpochPlan = 1,
    /// Whether a caption is dropped as a whole.
    CaptionDropout = 2,
    /// The order of a caption's tags.
    CaptionShuffle = 3,
    /// Whether a picture is mirrored.
    Flip = 4,
    /// Where a random crop lies.
    Crop = 5,
    /// How colours are varied.
    Color = 6,
    /// Which wildcard or line of a caption is taken.
    CaptionWildcard = 7,
    /// Which tags are dropped.
    TagDropout = 8,
}

/// A random stream that depends on nothing but its arguments: the four numbers are ChaCha8's key.
pub(crate) fn random_stream(purpose: Purpose, seed: u64, epoch: u64, ordinal: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, number) in key
        .chunks_exact_mut(8)
        .zip([seed, epoch, ordinal, purpose as u64])
    {
        bytes.copy_from_slice(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn every_argument_changes_the_stream_and_nothing_else_does() {
        let draw =
            |purpose, seed, epoch, ordinal| random_stream(purpose, seed, epoch, ordinal).next_u64();
        let first = draw(Purpose::EpochPlan, 1, 2, 3);
        assert_eq!(first, draw(Purpose::EpochPlan, 1, 2, 3));
        assert_ne!(first, draw(Purpose::CaptionDropout, 1, 2, 3));
        assert_ne!(first, draw(Purpose::EpochPlan, 9, 2, 3));
        assert_ne!(first, draw(Purpose::EpochPlan, 1, 9, 3));
        assert_ne!(first, draw(Purpose::EpochPlan, 1, 2, 9));
    }
}
