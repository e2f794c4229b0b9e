use image::GrayImage;

/// The variance of the Laplacian: at each pixel but those of the edge, four times its brightness less that of its
/// neighbours above, below, left and right. Sharp edges make it large, blur makes it small.
///
/// Source: Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy"; OpenCV's `Laplacian(...).var()`.
pub(super) fn sharpness(grey: &GrayImage) -> u32 {
    let (width, height) = grey.dimensions();
    if width < 3 || height < 3 {
        return 0;
    }
    let row = |y: u32| {
        let start = y as usize * width as usize;
        &grey.as_raw()[start..start + width as usize]
    };
    // Whole numbers: the sum is the same in whatever order.
    let (mut sum, mut squares) = (0_i64, 0_i64);
    for y in 1..height - 1 {
        let (above, middle, below) = (row(y - 1), row(y), row(y + 1));
        for x in 1..width as usize - 1 {
            let around = [above[x], below[x], middle[x - 1], middle[x + 1]];
            let around: i64 = around.into_iter().map(i64::from).sum();
            let laplacian = 4 * i64::from(middle[x]) - around;
            sum += laplacian;
            squares += laplacian * laplacian;
        }
    }
    let count = f64::from(width - 2) * f64::from(height - 2);
    let mean = sum as f64 / count;
    (squares as f64 / count - mean * mean).round() as u32
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    #[test]
    fn equals_the_numbers_of_the_definition() {
        // A single bright pixel of 10 in a field of 4 × 4 inner pixels: laplacians 40 and four of -10.
        let mut grey = GrayImage::new(6, 6);
        grey.put_pixel(3, 3, Luma([10]));
        // Squares (1600 + 4 × 100) / 16 = 125, mean 0.
        assert_eq!(sharpness(&grey), 125);
        // A ramp has none.
        assert_eq!(
            sharpness(&GrayImage::from_fn(9, 9, |x, _| Luma([x as u8 * 9]))),
            0
        );
        assert_eq!(sharpness(&GrayImage::new(2, 9)), 0);
    }
}
