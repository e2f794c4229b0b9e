use super::{importer::Importer, values};

/// Options that do nothing without another.
const DEPENDENT: [(&str, &str); 4] = [
    ("adaptive_noise_scale", "noise_offset"),
    ("ip_noise_gamma_random_strength", "ip_noise_gamma"),
    ("multires_noise_discount", "multires_noise_iterations"),
    ("noise_offset_random_strength", "noise_offset"),
];

/// What the loss is by default, with what its options are there.
pub(super) fn read(importer: &mut Importer) {
    for (option, other) in DEPENDENT {
        let is_on = importer
            .options
            .plain
            .get(other)
            .is_some_and(|given| !values::is_off(&given.value));
        if !is_on && let Some(given) = importer.take(option) {
            importer.not_needed(&given, &format!("it does nothing without {other}"));
        }
    }
    let kind = importer
        .text("loss_type")
        .unwrap_or_else(|| "l2".to_owned());
    if !matches!(kind.as_str(), "huber" | "smooth_l1") {
        for option in ["huber_schedule", "huber_c", "huber_scale"] {
            if let Some(given) = importer.take(option) {
                importer.not_needed(&given, &format!("it does nothing with loss_type {kind}"));
            }
        }
    }
    if importer
        .text("huber_schedule")
        .is_none_or(|schedule| schedule == "snr")
        && let Some(given) = importer.take("huber_scale")
    {
        importer.not_needed(&given, "the schedule snr does not go by it");
    }
    for (option, usual) in [("loss_type", "l2"), ("max_timestep", "1000")] {
        if importer.text(option).as_deref() == Some(usual)
            && let Some(given) = importer.take(option)
        {
            importer.not_needed(&given, "it is what the loss goes by here");
        }
    }
}
