/// `[.., 2·width]` as `[.., width]`, and `width`.
pub(super) fn halved_last(shape: &[usize]) -> (Vec<usize>, usize) {
    let mut halved = shape.to_vec();
    let Some(last) = halved.last_mut() else {
        return (halved, 0);
    };
    *last /= 2;
    let width = *last;
    (halved, width)
}
