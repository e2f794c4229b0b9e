//! A plan in words.

use lora_train::{
    BucketPlan, EpochListing, FolderPlan, FramingPlan, ListedShowing, PicturePlan, Plan,
    config::{TrainConfig, changed_settings},
};
use unicode_width::UnicodeWidthStr;

/// So many pictures are listed unless all are asked for.
const PICTURES: usize = 40;

/// Rank and alpha, and whatever else is not usual about the adapters.
pub(crate) fn adapters(config: &TrainConfig) -> String {
    let told = ["rank", "alpha"];
    let others = changed_settings(&config.lora).into_iter();
    let others = others.filter(|setting| {
        let key = setting.split(' ').next().unwrap_or_default();
        !told.contains(&key)
    });
    let usual = format!("rank {}, alpha {}", config.lora.rank, config.lora.alpha);
    [usual]
        .into_iter()
        .chain(others)
        .collect::<Vec<_>>()
        .join(", ")
}

/// How the number of steps comes about, in two lines.
pub(crate) fn steps(config: &TrainConfig, plan: &Plan) -> String {
    let train = &config.train;
    let accumulated = match train.accumulation.get() {
        1 => String::new(),
        _ => format!(
            " / {} accumulated = {} steps",
            train.accumulation, plan.steps_per_epoch
        ),
    };
    let whole = plan.steps_per_epoch * train.epochs;
    let taken = match train.max_steps {
        Some(most) if most < whole => {
            format!(
                "{whole} steps, of which train.max_steps takes the first {}",
                plan.steps
            )
        }
        _ => format!("{} steps", plan.steps),
    };
    format!(
        "{} pictures, {} with repeats / batch {} = {} batches{accumulated} an epoch\n{} epochs = {taken}",
        plan.images,
        plan.exposures_per_epoch,
        train.batch_size,
        plan.batches_per_epoch,
        train.epochs
    )
}

/// The pictures that are measured by and not trained on, if there are any.
pub(crate) fn heldout(plan: &Plan) -> Option<String> {
    let names = plan.heldout.iter().map(|image| {
        let name = image.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    });
    let names: Vec<String> = names.collect();
    let pictures = if names.len() == 1 {
        "picture"
    } else {
        "pictures"
    };
    (!names.is_empty())
        .then(|| format!("{} {pictures} held out: {}", names.len(), names.join(", ")))
}

/// What is not usual about the loss and the timesteps.
pub(crate) fn settings(plan: &Plan) -> Vec<String> {
    [
        ("objective", &plan.objective),
        ("timesteps", &plan.timesteps),
    ]
    .into_iter()
    .filter(|(_, settings)| !settings.is_empty())
    .map(|(section, settings)| format!("{section} {}", settings.join(", ")))
    .collect()
}

/// The sizes that pictures are trained at, where there are several.
pub(crate) fn buckets(plan: &Plan) -> Vec<String> {
    if plan.buckets.len() < 2 {
        return Vec::new();
    }
    let row = |bucket: &BucketPlan| {
        [
            format!("{}×{}", bucket.width, bucket.height),
            bucket.pictures.to_string(),
            bucket.exposures.to_string(),
            bucket.batches.to_string(),
            last_batch(bucket),
        ]
    };
    let title = ["bucket", "pictures", "showings", "batches", ""].map(str::to_owned);
    table(
        [title]
            .into_iter()
            .chain(plan.buckets.iter().map(row))
            .collect(),
    )
}

/// How full the last batch of a bucket is, where it is not.
fn last_batch(bucket: &BucketPlan) -> String {
    let (last, full) = (bucket.last_batch, bucket.batch_size);
    if last == full {
        String::new()
    } else {
        format!("the last of {last} instead of {full}")
    }
}

/// How much of an epoch each folder takes, where there are several.
pub(crate) fn folders(plan: &Plan) -> Vec<String> {
    if plan.folders.len() < 2 {
        return Vec::new();
    }
    let row = |folder: &FolderPlan| {
        let kind = match (folder.regularisation, folder.loss_weight) {
            (false, _) => String::new(),
            (true, weight) => format!(" (regularisation, loss × {weight})"),
        };
        [
            folder.pictures.to_string(),
            folder.exposures.to_string(),
            format!("{:.0} %", 100.0 * folder.share),
            format!("{}{kind}", folder.folder),
        ]
    };
    let title = ["pictures", "showings", "share", "folder"].map(str::to_owned);
    let rows = plan.folders.iter().map(row);
    table([title].into_iter().chain(rows).collect())
}

/// What an epoch shows, batch by batch.
pub(crate) fn epoch(listing: &EpochListing) -> Vec<String> {
    let mut lines = vec![format!("epoch {}, in order:", listing.epoch)];
    for batch in &listing.batches {
        let (width, height) = batch.size;
        lines.push(format!("step {}, {width}×{height}", batch.step));
        let row = |showing: &ListedShowing| {
            let name = showing.image.file_name().unwrap_or_default();
            [
                format!("  {}", name.to_string_lossy()),
                looks(showing),
                showing.caption.replace('\n', " ⏎ "),
            ]
        };
        lines.extend(left_table(batch.showings.iter().map(row).collect()));
    }
    lines
}

/// How a showing differs from the picture as it is.
fn looks(showing: &ListedShowing) -> String {
    let crop = showing
        .crop
        .map(|[x, y]| format!("cut at {:.0} % {:.0} %", 100.0 * x, 100.0 * y));
    let others = [
        (showing.flip, "mirrored"),
        (showing.color, "colours varied"),
    ];
    let others = others.iter().filter(|(is, _)| *is);
    let looks = others.map(|(_, what)| (*what).to_owned()).chain(crop);
    looks.collect::<Vec<_>>().join(", ")
}

/// What becomes of each picture; of many only the first, unless `all` are asked for.
pub(crate) fn pictures(plan: &Plan, all: bool) -> Vec<String> {
    let shown = if all { usize::MAX } else { PICTURES };
    let row = |picture: &PicturePlan| {
        let FramingPlan {
            scale,
            cut_width,
            cut_height,
        } = picture.framing;
        let name = picture.image.file_name().unwrap_or_default();
        [
            format!("{}×{}", picture.size.0, picture.size.1),
            format!("{}×{}", picture.target.0, picture.target.1),
            format!("{scale:.2}"),
            format!("{:.0} %", 100.0 * cut_width),
            format!("{:.0} %", 100.0 * cut_height),
            picture.exposures.to_string(),
            picture.tokens.to_string(),
            name.to_string_lossy().into_owned(),
        ]
    };
    let title = [
        "size",
        "trained at",
        "scale",
        "cut x",
        "cut y",
        "shown",
        "tokens",
        "picture",
    ];
    let rows = plan.pictures.iter().take(shown).map(row);
    let mut lines = table([title.map(str::to_owned)].into_iter().chain(rows).collect());
    if plan.pictures.len() > shown {
        lines.push(format!(
            "… and {} more; --all lists them",
            plan.pictures.len() - shown
        ));
    }
    lines
}

/// Columns aligned at the right, but for the last.
pub(crate) fn table<R: Into<Vec<String>>>(rows: Vec<R>) -> Vec<String> {
    aligned(rows, |cell, gap| format!("{gap}{cell}"))
}

/// Columns aligned at the left.
pub(crate) fn left_table<R: Into<Vec<String>>>(rows: Vec<R>) -> Vec<String> {
    aligned(rows, |cell, gap| format!("{cell}{gap}"))
}

/// Columns two apart, each as wide on a terminal as its widest cell; the last is left as it is.
fn aligned<R: Into<Vec<String>>>(
    rows: Vec<R>,
    placed: impl Fn(&str, &str) -> String,
) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows.into_iter().map(Into::into).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let (last, others) = row.split_last()?;
        let cells = others.iter().zip(&widths).map(|(cell, &width)| {
            let gap = " ".repeat(width - cell.width());
            placed(cell, &gap) + "  "
        });
        Some((cells.collect::<String>() + last).trim_end().to_owned())
    };
    rows.iter().filter_map(line).collect()
}

/// The files that will be saved.
pub(crate) fn files(config: &TrainConfig, plan: &Plan) -> String {
    let name = |epoch: &u64| format!("{}-{epoch:06}", config.output.name);
    let list = match plan.saved_epochs.as_slice() {
        [] => String::new(),
        [only] => name(only),
        [first, last] => format!("{}, {}", name(first), name(last)),
        [first, .., last] => format!("{} … {}", name(first), name(last)),
    };
    format!(
        "{} files: {list}, in {}",
        plan.saved_epochs.len(),
        config.output.folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another_whatever_the_script() {
        let rows = [["a", "四季", "x"], ["bcd", "e", "y"]];
        let rows = || rows.map(|row| row.map(str::to_owned)).to_vec();
        assert_eq!(table(rows()), ["  a  四季  x", "bcd     e  y"]);
        assert_eq!(left_table(rows()), ["a    四季  x", "bcd  e     y"]);
    }
}
