//! Smoothing of a noisy series.

/// The bandwidth of the kernel as a share of the series' length: a compromise between a curve that wobbles with each
/// batch's timesteps and one that hides what the learning rate does.
const BANDWIDTH: f64 = 0.03;
/// The curve is evaluated at so many places at most.
const PLACES: usize = 400;
/// Beyond so many bandwidths a point weighs less than 1.2 % of the nearest.
const REACH: f64 = 3.0;

/// The Gaussian-kernel mean (Nadaraya-Watson) of `points`, at evenly spaced places from the first to the last. Unlike a
/// running average it does not lag behind. `points` are sorted by their first coordinate and finite.
pub(super) fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (Some(&(first, _)), Some(&(last, _))) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let bandwidth = (last - first) * BANDWIDTH;
    if bandwidth <= 0.0 {
        return points[..1].to_vec();
    }
    let places = PLACES.min(points.len()).max(2);
    let place = |index: usize| first + (last - first) * index as f64 / (places - 1) as f64;
    (0..places)
        .map(place)
        .map(|x| (x, kernel_mean(points, x, bandwidth)))
        .collect()
}

fn kernel_mean(points: &[(f64, f64)], centre: f64, bandwidth: f64) -> f64 {
    let start = points.partition_point(|&(x, _)| x < centre - REACH * bandwidth);
    let end = points.partition_point(|&(x, _)| x <= centre + REACH * bandwidth);
    if start == end {
        // A gap in the series wider than the kernel: bridge it by the nearest neighbours.
        return interpolate(points[start - 1], points[start], centre);
    }
    let (mut sum, mut weights) = (0.0, 0.0);
    for &(x, y) in &points[start..end] {
        let weight = (-0.5 * ((x - centre) / bandwidth).powi(2)).exp();
        sum += weight * y;
        weights += weight;
    }
    sum / weights
}

fn interpolate(left: (f64, f64), right: (f64, f64), x: f64) -> f64 {
    left.1 + (right.1 - left.1) * (x - left.0) / (right.0 - left.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_goes_and_the_level_stays() {
        let noisy: Vec<_> = (0..300)
            .map(|x| (f64::from(x), 0.1 + if x % 2 == 0 { 0.05 } else { -0.05 }))
            .collect();
        for (x, y) in smooth(&noisy) {
            assert!((y - 0.1).abs() < 0.01, "{y} at {x}");
        }
    }

    #[test]
    fn a_step_is_not_delayed() {
        let step: Vec<_> = (0..=300)
            .map(|x| (f64::from(x), if x < 150 { 1.0 } else { 0.0 }))
            .collect();
        let crossing = smooth(&step)
            .into_iter()
            .find(|&(_, y)| y < 0.5)
            .map(|(x, _)| x);
        assert!(
            crossing.is_some_and(|x| (147.0..=153.0).contains(&x)),
            "{crossing:?}"
        );
    }

    #[test]
    fn gaps_are_bridged() {
        let gap = [(0.0, 1.0), (1.0, 1.0), (100.0, 3.0)];
        let middle = kernel_mean(&gap, 50.5, 3.0);
        assert!((middle - 2.0).abs() < 1e-9, "{middle}");
        assert!(smooth(&gap).iter().all(|(_, y)| y.is_finite()));
    }

    #[test]
    fn few_points_do_not_panic() {
        assert!(smooth(&[]).is_empty());
        assert_eq!(smooth(&[(5.0, 0.1)]), [(5.0, 0.1)]);
        assert_eq!(smooth(&[(5.0, 0.1), (5.0, 0.3)]), [(5.0, 0.1)]);
        assert_eq!(smooth(&[(0.0, 0.1), (9.0, 0.3)]).len(), 2);
    }
}
