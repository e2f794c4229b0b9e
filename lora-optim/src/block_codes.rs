//! Numbers in eight bits: blocks of 256, each with its largest magnitude, as bitsandbytes keeps optimiser states.
//!
//! After Dettmers et al., "8-bit Optimizers via Block-wise Quantization" (arXiv:2110.02861). The 256 values that a code can
//! stand for lie densest near 0: seven decades, each with twice as many values as the one below.

use std::f64::consts::LN_2;

use burn::{
    optim::{RecordState, StateSink, StateSource},
    tensor::{Device, Int, IntDType, Tensor, TensorData},
};

/// Numbers that share one maximum.
const BLOCK: usize = 256;
/// Codes in one word. No GPU language that burn writes has to know bytes for this; WGSL does not.
const CODES_PER_WORD: usize = 4;
const WORDS: usize = BLOCK / CODES_PER_WORD;
/// Decades that the values span.
const DECADES: i32 = 7;

/// Magnitudes are sorted into this many buckets for each factor of two, narrow enough for one middle in each.
const PER_OCTAVE: f64 = 64.0;
/// Added to a magnitude before its logarithm is taken, which makes that of 0 a number.
const FLOOR: f64 = 1e-7;
/// Octaves from `FLOOR` to 1, rounded up.
const OCTAVES: f64 = 24.0;
const BUCKETS: usize = (OCTAVES * PER_OCTAVE) as usize + 1;

/// The values that the 256 codes stand for, in rising order, on the device.
#[derive(Clone)]
pub(crate) struct DynamicMap {
    /// `[256]`.
    values: Tensor<1>,
    /// `[256]`, the middle between each value and the next: what is above it is nearer to the next. The last is infinite.
    middles: Tensor<1>,
    /// `[2 * BUCKETS]`, the least code that a number of the bucket can have: first positive numbers, then negative ones.
    least: Tensor<1, Int>,
    /// By how much the code of a number can be above the least one.
    steps: usize,
    /// The code of 0, if negative numbers have codes too.
    signed_zero: Option<i64>,
}

impl DynamicMap {
    /// For numbers of both signs.
    pub(crate) fn signed(device: &Device) -> Self {
        let values = values(true);
        let zero = values.iter().position(|value| *value == 0.0);
        Self {
            signed_zero: zero.map(|code| code as i64),
            ..Self::new(values, device)
        }
    }

    /// For numbers that are never negative.
    pub(crate) fn unsigned(device: &Device) -> Self {
        Self::new(values(false), device)
    }

    fn new(values: Vec<f32>, device: &Device) -> Self {
        let next = values.windows(2);
        let middles: Vec<f32> = next
            .map(|pair| f32::midpoint(pair[0], pair[1]))
            .chain([f32::INFINITY])
            .collect();
        // The code of a number, counted: of a negative one the codes fall while the magnitude grows.
        let code = |number: f64| middles.partition_point(|middle| f64::from(*middle) < number);
        let ranges = (0..BUCKETS).map(magnitudes);
        let positive = ranges.clone().map(|[low, high]| [code(low), code(high)]);
        let negative = ranges.map(|[low, high]| [code(-high), code(-low)]);
        let codes: Vec<[usize; 2]> = positive.chain(negative).collect();
        let steps = codes.iter().map(|[least, most]| most - least).max();
        let least: Vec<i32> = codes.iter().map(|[least, _]| *least as i32).collect();
        let least = TensorData::new(least, [codes.len()]);
        let on_device = |values: Vec<f32>| {
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), device)
        };
        Self {
            values: on_device(values),
            middles: on_device(middles),
            least: Tensor::<1, Int>::from_data(least, device).cast(IntDType::I32),
            steps: steps.unwrap_or(0),
            signed_zero: None,
        }
    }

    /// The code of the nearest value for each of `[blocks, 256]` numbers from -1 to 1; of two as near, the lower one.
    ///
    /// The logarithm only says where to begin, so that its rounding decides nothing.
    fn nearest(&self, numbers: Tensor<2>) -> Tensor<2, Int> {
        let [blocks, _] = numbers.dims();
        let numbers: Tensor<1> = numbers.reshape([blocks * BLOCK]);
        let octaves = (numbers.clone().abs() + FLOOR).log() * LN_2.recip();
        let bucket = ((octaves + OCTAVES) * PER_OCTAVE).int().cast(IntDType::I32);
        let negative = numbers.clone().lower_elem(0.0).int().cast(IntDType::I32);
        let bucket = bucket.clamp(0, BUCKETS as i64 - 1) + negative * BUCKETS as i64;
        let mut codes = self.least.clone().select(0, bucket);
        for _ in 0..self.steps {
            let middle = self.middles.clone().select(0, codes.clone());
            codes = codes + middle.lower(numbers.clone()).int().cast(IntDType::I32);
        }
        codes.reshape([blocks, BLOCK])
    }

    /// As [`nearest`](Self::nearest), but what is below 0 keeps a negative value however small it is.
    ///
    /// So do bitsandbytes' CUDA kernels: they compare sign bits, and that of 0 is a positive number's, so that small
    /// positive numbers do become 0.
    fn codes(&self, numbers: Tensor<2>) -> Tensor<2, Int> {
        let codes = self.nearest(numbers.clone());
        let Some(zero) = self.signed_zero else {
            return codes;
        };
        let lost = numbers
            .lower_elem(0.0)
            .bool_and(codes.clone().equal_elem(zero));
        codes - lost.int().cast(IntDType::I32)
    }
}

/// A map that is computed for the first step and kept for all others on the same device.
pub(crate) struct MapKept {
    make: fn(&Device) -> DynamicMap,
    kept: Option<DynamicMap>,
}

impl MapKept {
    /// For numbers of both signs.
    pub(crate) fn signed() -> Self {
        Self {
            make: DynamicMap::signed,
            kept: None,
        }
    }

    /// For numbers that are never negative.
    pub(crate) fn unsigned() -> Self {
        Self {
            make: DynamicMap::unsigned,
            kept: None,
        }
    }

    /// The map on `device`.
    pub(crate) fn on(&mut self, device: &Device) -> DynamicMap {
        let kept = self.kept.take();
        let kept = kept.filter(|map| map.values.device() == *device);
        let map = kept.unwrap_or_else(|| (self.make)(device));
        self.kept.insert(map).clone()
    }
}

/// The magnitudes of a bucket, from lowest to highest, with some of each neighbour's for the rounding of logarithms.
fn magnitudes(bucket: usize) -> [f64; 2] {
    let edge = |place: f64| ((place / PER_OCTAVE - OCTAVES).exp2() - FLOOR).max(0.0);
    [edge(bucket as f64 - 0.02), edge(bucket as f64 + 1.02)]
}

/// The 256 values in rising order: for each decade the middles of equal parts of `[0.1, 1]`, then 0 and 1.
///
/// Computed in f32 as bitsandbytes does, so that the values are its own to the last bit.
fn values(signed: bool) -> Vec<f32> {
    let mut values = vec![0.0, 1.0];
    for decade in 0..DECADES {
        let parts = if signed { 1 << decade } else { 2 << decade };
        let scale = 10_f64.powi(decade + 1 - DECADES) as f32;
        for part in 0..parts {
            let middle = f32::midpoint(edge(part, parts), edge(part + 1, parts));
            values.push(scale * middle);
            if signed {
                values.push(-(scale * middle));
            }
        }
    }
    values.sort_by(f32::total_cmp);
    values
}

/// Edge number `index` of `parts` equal parts of `[0.1, 1]`, counted from the nearer end and rounded once, as
/// `torch.linspace` does.
fn edge(index: usize, parts: usize) -> f32 {
    let width = (1.0 - 0.1_f32) / parts as f32;
    if index < parts.div_ceil(2) {
        width.mul_add(index as f32, 0.1)
    } else {
        (-width).mul_add((parts - index) as f32, 1.0)
    }
}

/// A matrix in eight bits for each element and 32 for each block.
#[derive(Clone)]
pub(crate) struct BlockCodes {
    /// `[blocks, 64]`, i32. Byte `b` of word `w` is the code of element `64 * b + w` of the block.
    words: Tensor<2, Int>,
    /// `[blocks, 1]`, the largest magnitude of each block.
    maxima: Tensor<2>,
}

impl BlockCodes {
    /// The shapes of what is kept of `length` elements.
    pub(crate) fn shapes(length: usize) -> [[usize; 2]; 2] {
        let blocks = length.div_ceil(BLOCK);
        [[blocks, WORDS], [blocks, 1]]
    }

    /// Rounds `matrix`, whose elements fill the blocks row by row; the rest of the last block holds zeros.
    pub(crate) fn quantise(matrix: Tensor<2>, map: &DynamicMap) -> Self {
        let device = matrix.device();
        let length = matrix.dims().iter().product::<usize>();
        let blocks = length.div_ceil(BLOCK);
        let mut flat: Tensor<1> = matrix.reshape([length]);
        if blocks * BLOCK > length {
            let rest = Tensor::zeros([blocks * BLOCK - length], &device);
            flat = Tensor::cat(vec![flat, rest], 0);
        }
        let numbers: Tensor<2> = flat.reshape([blocks, BLOCK]);
        let maxima = numbers.clone().max_abs_dim(1);
        // A block of zeros is divided by 1 instead of 0.
        let divisors = maxima
            .clone()
            .mask_fill(maxima.clone().equal_elem(0.0), 1.0);
        Self {
            words: packed(map.codes(numbers / divisors)),
            maxima,
        }
    }

    /// The rounded numbers as a matrix of this shape, which must have as many elements as were quantised.
    pub(crate) fn dequantise(&self, shape: [usize; 2], map: &DynamicMap) -> Tensor<2> {
        let codes = unpacked(&self.words);
        let [blocks, _] = codes.dims();
        let values: Tensor<1> = map
            .values
            .clone()
            .select(0, codes.reshape([blocks * BLOCK]));
        let numbers = values.reshape([blocks, BLOCK]) * self.maxima.clone();
        let length = shape.iter().product::<usize>();
        let flat: Tensor<1> = numbers.reshape([blocks * BLOCK]);
        flat.narrow(0, 0, length).reshape(shape)
    }
}

impl RecordState for BlockCodes {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "words", self.words.to_data());
        out.push_tensor(prefix, "maxima", self.maxima.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let words = src.take_tensor(prefix, "words")?;
        let maxima = src.take_tensor(prefix, "maxima")?;
        let [blocks, WORDS] = *words.shape().as_slice() else {
            return None;
        };
        (maxima.shape().as_slice() == [blocks, 1]).then(|| Self {
            words: Tensor::<2, Int>::from_data(words, device).cast(IntDType::I32),
            maxima: Tensor::from_data(maxima, device),
        })
    }
}

/// `[blocks, 256]` codes to `[blocks, 64]` words.
fn packed(codes: Tensor<2, Int>) -> Tensor<2, Int> {
    let [blocks, _] = codes.dims();
    let byte = |index: usize| {
        let part = codes
            .clone()
            .slice([0..blocks, index * WORDS..(index + 1) * WORDS]);
        part.bitwise_left_shift_scalar(8 * index as i64)
    };
    (1..CODES_PER_WORD).fold(byte(0), |words, index| words.bitwise_or(byte(index)))
}

/// `[blocks, 64]` words to `[blocks, 256]` codes.
fn unpacked(words: &Tensor<2, Int>) -> Tensor<2, Int> {
    let byte = |index: usize| {
        // A shift of a negative word fills with ones from above; the mask cuts them off.
        words
            .clone()
            .bitwise_right_shift_scalar(8 * index as i64)
            .bitwise_and_scalar(255_i64)
    };
    Tensor::cat((0..CODES_PER_WORD).map(byte).collect(), 1)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use safetensors::SafeTensors;

    use super::*;

    /// One tensor of bitsandbytes' recorded data.
    fn golden<T>(file: &str, name: &str, read: impl Fn(&[u8]) -> T) -> Vec<T> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../testdata/golden/optim")
            .join(file);
        let bytes = fs::read(path).expect("recorded data");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let view = file.tensor(name).expect("a tensor of that name");
        let size = view.dtype().bitsize() / 8;
        view.data().chunks_exact(size).map(read).collect()
    }

    fn float(bytes: &[u8]) -> f32 {
        f32::from_le_bytes(bytes.try_into().expect("four bytes"))
    }

    fn code(bytes: &[u8]) -> i32 {
        i32::from(bytes[0])
    }

    fn read(codes: &Tensor<2, Int>) -> Vec<i32> {
        codes.clone().try_into_vec_as().expect("on the host")
    }

    #[test]
    fn the_values_are_those_of_bitsandbytes() {
        for (signed, name) in [(true, "signed"), (false, "unsigned")] {
            let expected = golden("dynamic_maps.safetensors", name, float);
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&values(signed)), bits(&expected), "{name}");
        }
    }

    /// bitsandbytes' CPU code is not the nearest at one place, where the number lies on a middle.
    #[test]
    fn codes_and_maxima_are_those_of_bitsandbytes() {
        const TIE: usize = 521;
        let device = Device::flex();
        let numbers = golden("quantise.safetensors", "x", float);
        let length = numbers.len();
        let numbers = Tensor::<2>::from_data(TensorData::new(numbers, [1, length]), &device);
        for (map, numbers, name) in [
            (DynamicMap::signed(&device), numbers.clone(), "signed"),
            (
                DynamicMap::unsigned(&device),
                numbers.abs(),
                "unsigned_of_abs",
            ),
        ] {
            let codes = BlockCodes::quantise(numbers, &map);
            let maxima: Vec<f32> = codes.maxima.clone().try_into_vec_as().expect("on the host");
            let expected = golden("quantise.safetensors", &format!("{name}.absmax"), float);
            assert_eq!(maxima, expected, "{name}");
            let ours = read(&unpacked(&codes.words));
            let theirs = golden("quantise.safetensors", &format!("{name}.codes"), code);
            for (place, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                assert!(
                    ours == theirs || place == TIE,
                    "{name}, {place}: {ours}, {theirs}"
                );
            }
        }
    }

    #[test]
    fn every_value_keeps_its_code_and_words_keep_all_codes() {
        let device = Device::flex();
        for map in [DynamicMap::signed(&device), DynamicMap::unsigned(&device)] {
            let codes = map.codes(map.values.clone().reshape([1, BLOCK]));
            assert_eq!(read(&codes), (0..256).collect::<Vec<i32>>());
            assert_eq!(read(&unpacked(&packed(codes.clone()))), read(&codes));
        }
    }

    #[test]
    fn a_code_is_the_nearest_also_next_to_a_middle() {
        let device = Device::flex();
        for (map, signed) in [
            (DynamicMap::signed(&device), true),
            (DynamicMap::unsigned(&device), false),
        ] {
            assert!(map.steps <= 2, "{} steps", map.steps);
            let values = values(signed);
            let middles = values
                .windows(2)
                .map(|pair| f32::midpoint(pair[0], pair[1]));
            let near = middles.flat_map(|middle| [middle.next_down(), middle, middle.next_up()]);
            let spread = (-4000..=4000_i32).map(|i| (i as f32 / 500.0).exp2() * 3e-3 - 0.1);
            let spread = spread.filter(|number| number.abs() <= 1.0 && (signed || *number >= 0.0));
            let mut numbers: Vec<f32> = near.chain(spread).collect();
            numbers.resize(numbers.len().next_multiple_of(BLOCK), 0.0);
            let expected: Vec<i32> = numbers
                .iter()
                .map(|number| {
                    let above = values.windows(2);
                    let above = above.filter(|pair| f32::midpoint(pair[0], pair[1]) < *number);
                    above.count() as i32
                })
                .collect();
            let blocks = numbers.len() / BLOCK;
            let numbers = Tensor::from_data(TensorData::new(numbers, [blocks, BLOCK]), &device);
            assert_eq!(read(&map.nearest(numbers)), expected);
        }
    }

    #[test]
    fn a_tiny_negative_number_keeps_its_sign_and_zero_stays_zero() {
        let device = Device::flex();
        let map = DynamicMap::signed(&device);
        let numbers = Tensor::<2>::from_data([[1.0, 1e-9, -1e-9, 0.0]], &device);
        let back = BlockCodes::quantise(numbers, &map).dequantise([1, 4], &map);
        let back: Vec<f32> = back.try_into_vec_as().expect("on the host");
        assert!(back[2] < 0.0, "{back:?}");
        assert_eq!(
            [back[0], back[1], back[3]].map(f32::to_bits),
            [1_f32, 0.0, 0.0].map(f32::to_bits)
        );
        let zeros = BlockCodes::quantise(Tensor::zeros([3, 100], &device), &map);
        let back: Vec<f32> = zeros
            .dequantise([3, 100], &map)
            .try_into_vec_as()
            .expect("on the host");
        assert!(back.iter().all(|number| *number == 0.0));
    }
}
