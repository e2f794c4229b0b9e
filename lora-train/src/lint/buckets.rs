use super::{Finding, Severity, Subject};
use crate::bucket_plan::bucket_plans;

pub(super) fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    let batch_size = subject.config.train.batch_size;
    let buckets = bucket_plans(subject.data, batch_size);
    // One bucket is the whole dataset, and no place of its own.
    let lonely = buckets
        .iter()
        .filter(|bucket| buckets.len() > 1 && bucket.pictures < bucket.batch_size);
    lonely
        .map(|bucket| {
            let message = format!(
                "bucket {}×{} has {} of the {} pictures that make a batch: these are trained in batches of their own few pictures; crop them to other proportions, or add pictures",
                bucket.width, bucket.height, bucket.pictures, bucket.batch_size
            );
            Finding::new(Severity::Warning, "lonely-bucket", message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use lora_data::Resolution;

    use crate::lint::example::{captioned, found, settings};

    #[test]
    fn a_bucket_of_less_than_a_batch_is_lonely() {
        let mut config = settings();
        config.train.batch_size = NonZeroUsize::new(2).unwrap();
        let mut data = captioned(&["sks dog, a", "sks dog, b", "sks dog, c"]);
        assert_eq!(found(&config, &data), []);
        data.0[2].target = Resolution {
            width: 512,
            height: 448,
        };
        assert_eq!(found(&config, &data), [("lonely-bucket", None)]);
    }
}
