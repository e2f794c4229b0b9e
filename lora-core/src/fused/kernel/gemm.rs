use gemm::Parallelism;

/// A matrix that lies in a slice: element `(row, column)` is at `first + row · row_step + column · column_step`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    /// Where the matrix begins.
    pub first: usize,
    /// `[rows, columns]`.
    pub shape: [usize; 2],
    /// Elements between two rows.
    pub row_step: usize,
    /// Elements between two columns.
    pub column_step: usize,
}

impl Layout {
    /// Rows of neighbouring elements, `row_step` apart.
    pub(super) fn rows(first: usize, shape: [usize; 2], row_step: usize) -> Self {
        Self {
            first,
            shape,
            row_step,
            column_step: 1,
        }
    }

    /// The same elements, rows and columns exchanged.
    pub(super) fn transposed(self) -> Self {
        let [rows, columns] = self.shape;
        Self {
            first: self.first,
            shape: [columns, rows],
            row_step: self.column_step,
            column_step: self.row_step,
        }
    }

    /// One more than the largest index.
    fn end(self) -> usize {
        let [rows, columns] = self.shape;
        if rows == 0 || columns == 0 {
            return 0;
        }
        self.first + (rows - 1) * self.row_step + (columns - 1) * self.column_step + 1
    }

    /// Whether no two elements share a place.
    fn is_injective(self) -> bool {
        let [rows, columns] = self.shape;
        let apart = |inner: usize, count: usize, outer: usize| {
            inner > 0 && outer > inner * count.saturating_sub(1)
        };
        apart(self.column_step, columns, self.row_step)
            || apart(self.row_step, rows, self.column_step)
    }
}

/// What becomes of the matrix that a product is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Into {
    /// It is overwritten.
    Fresh,
    /// The product is added.
    Sum,
}

/// Who computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Threads {
    /// The calling thread.
    One,
    /// All of rayon's pool. The result is the same to the last bit: rows and columns are shared out, sums are not.
    Pool,
}

/// `out ← factor · left · right`, or `out ← out + factor · left · right`.
///
/// # Panics
/// When the shapes do not fit or a layout leaves its slice.
pub(super) fn multiply(
    out: (&mut [f32], Layout),
    into: Into,
    left: (&[f32], Layout),
    right: (&[f32], Layout),
    factor: f32,
    threads: Threads,
) {
    let (out, place) = out;
    let [rows, columns] = place.shape;
    let [_, inner] = left.1.shape;
    assert_eq!(
        [left.1.shape, right.1.shape],
        [[rows, inner], [inner, columns]],
        "shapes of a product"
    );
    assert!(
        place.end() <= out.len() && left.1.end() <= left.0.len() && right.1.end() <= right.0.len(),
        "a matrix leaves its slice"
    );
    assert!(place.is_injective(), "elements of a result overlap");
    if rows == 0 || columns == 0 {
        return;
    }
    let parallelism = match threads {
        Threads::One => Parallelism::None,
        Threads::Pool => Parallelism::Rayon(0),
    };
    let step = |step: usize| step as isize;
    // SAFETY: `out` is borrowed mutably, and every index below `rows`, `columns` and `inner` was just checked to lie inside
    // its slice, so all that gemm reads and writes through these pointers is ours; no two elements of `out` are one.
    #[expect(
        unsafe_code,
        reason = "gemm has no interface over slices; the bounds are checked above"
    )]
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr().add(place.first),
            step(place.column_step),
            step(place.row_step),
            into == Into::Sum,
            left.0.as_ptr().add(left.1.first),
            step(left.1.column_step),
            step(left.1.row_step),
            right.0.as_ptr().add(right.1.first),
            step(right.1.column_step),
            step(right.1.row_step),
            1.0,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}
