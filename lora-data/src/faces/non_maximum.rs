use super::FaceBox;

/// Leaves out every box that overlaps a surer one by more than `overlap`, and all but the `most` surest: greedy
/// non-maximum suppression. The surest comes first.
pub(super) fn non_maximum(mut faces: Vec<FaceBox>, overlap: f32, most: usize) -> Vec<FaceBox> {
    // The place decides between equal scores, so that the order in which boxes came does not matter.
    faces.sort_by(|a, b| {
        b.score
            .total_cmp(&a.score)
            .then(a.top.total_cmp(&b.top))
            .then(a.left.total_cmp(&b.left))
    });
    let mut kept: Vec<FaceBox> = Vec::new();
    for face in faces {
        if kept.len() == most {
            break;
        }
        if kept.iter().all(|one| one.overlap(&face) <= overlap) {
            kept.push(face);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(left: f32, score: f32) -> FaceBox {
        FaceBox {
            left,
            top: 0.0,
            width: 10.0,
            height: 10.0,
            score,
            landmarks: None,
        }
    }

    #[test]
    fn of_boxes_that_overlap_the_surest_stays() {
        // 2 and 0 share 8 of 12, 5 and 0 share 5 of 15 = 0.33, 30 stands apart.
        let faces = vec![
            face(0.0, 0.8),
            face(2.0, 0.9),
            face(30.0, 0.7),
            face(7.0, 0.6),
        ];
        assert_eq!(
            non_maximum(faces.clone(), 0.34, 9),
            [face(2.0, 0.9), face(30.0, 0.7), face(7.0, 0.6)]
        );
        assert_eq!(
            non_maximum(faces.clone(), 0.3, 9),
            [face(2.0, 0.9), face(30.0, 0.7)]
        );
        assert_eq!(non_maximum(faces, 0.34, 1), [face(2.0, 0.9)]);
    }

    #[test]
    fn a_box_that_was_left_out_leaves_out_no_other() {
        // A chain: 0 removes 4 (6 of 14), and 8 overlaps only 4.
        let faces = vec![face(0.0, 0.9), face(4.0, 0.8), face(8.0, 0.7)];
        assert_eq!(non_maximum(faces, 0.3, 9), [face(0.0, 0.9), face(8.0, 0.7)]);
    }

    #[test]
    fn the_order_of_boxes_does_not_matter() {
        let faces = vec![face(3.0, 0.5), face(0.0, 0.5)];
        let reversed = faces.iter().rev().copied().collect();
        assert_eq!(non_maximum(faces, 0.3, 9), non_maximum(reversed, 0.3, 9));
    }
}
