use std::collections::BTreeMap;

use lora_core::adapter::Strength;
use serde::Serialize;

use super::{
    Axis, Drawing, Fingerprints, GridCells, LoraUse, level::sampler_label, request::CellPicture,
};
use crate::{DrawSettings, Prompt};

/// Every picture of a grid, and where it stands.
///
/// Pictures that would be equal are one: at strength 0 all files share the model's own.
#[derive(Clone, Debug, PartialEq)]
pub struct GridPlan {
    /// The sheets; several where there is a third axis.
    pub sheets: Vec<SheetPlan>,
    /// The pictures, each once.
    pub drawings: Vec<Drawing>,
}

/// One sheet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SheetPlan {
    /// What its pictures share: the prompt.
    pub title: String,
    /// What else they share: the level of the third axis, the run, seed, steps, sampler, guidance, size.
    pub subtitle: String,
    /// The header of each column.
    pub columns: Vec<String>,
    /// The header of each row.
    pub rows: Vec<String>,
    /// `cells[row][column]`: numbers of the pictures that stand side by side there.
    pub cells: Vec<Vec<Vec<usize>>>,
    /// What A1111 adds to the infotext of a sheet.
    pub script: String,
}

impl GridCells {
    /// Lays the cells out; `size_of` gives width and height of a prompt's picture in pixels.
    pub fn plan(
        &self,
        fingerprints: &Fingerprints,
        settings: DrawSettings,
        size_of: impl Fn(&Prompt) -> [u32; 2],
    ) -> GridPlan {
        let mut drawings: Vec<Drawing> = Vec::new();
        let mut numbers = BTreeMap::<String, usize>::new();
        let mut number = |picture: &CellPicture| {
            let size = size_of(&picture.prompt);
            let drawing = Drawing::new(picture, settings, size, fingerprints);
            *numbers.entry(drawing.digest.clone()).or_insert_with(|| {
                drawings.push(drawing);
                drawings.len() - 1
            })
        };
        let [columns, rows, _] = &self.levels;
        let cells: Vec<Vec<usize>> = self
            .cells
            .iter()
            .map(|cell| cell.iter().map(&mut number).collect())
            .collect();
        let sheets = cells.chunks(columns.len() * rows.len()).enumerate();
        let sheets = sheets
            .map(|(index, cells)| {
                let rows = cells.chunks(columns.len()).map(<[_]>::to_vec).collect();
                self.sheet(index, rows, &drawings)
            })
            .collect();
        GridPlan { sheets, drawings }
    }

    fn sheet(&self, index: usize, cells: Vec<Vec<Vec<usize>>>, drawings: &[Drawing]) -> SheetPlan {
        let request = &self.request;
        let [columns, rows, sheets] = &self.levels;
        let shown: Vec<&Drawing> = cells
            .iter()
            .flatten()
            .flatten()
            .map(|&number| &drawings[number])
            .collect();
        let mut subtitle = vec![sheets[index].label(request)];
        subtitle.extend(self.shared_run());
        subtitle.extend(shared(&shown));
        subtitle.retain(|part| !part.is_empty());
        SheetPlan {
            title: self.title(),
            subtitle: subtitle.join(", "),
            columns: columns.iter().map(|level| level.label(request)).collect(),
            rows: rows.iter().map(|level| level.label(request)).collect(),
            cells,
            script: self.script(),
        }
    }

    /// The prompts, unless each has a row, column or sheet of its own.
    fn title(&self) -> String {
        if self.request.axes().contains(&&Axis::Prompts) {
            return String::new();
        }
        let texts = self.request.prompts.iter();
        let texts: Vec<&str> = texts.map(|prompt| prompt.text.as_str()).collect();
        texts.join(" | ")
    }

    /// The name of the run, where the labels only number its files.
    fn shared_run(&self) -> Option<String> {
        let files = &self.request.files;
        let numbered = files.iter().all(|file| file.label != file.name);
        let first = files.first()?;
        (numbered && self.request.axes().contains(&&Axis::Files)).then(|| first.run.clone())
    }

    /// `Script: X/Y/Z plot, X Type: Seed, X Values: "1,2", …`, as A1111 writes it into its grids.
    fn script(&self) -> String {
        let mut parts = vec!["Script: X/Y/Z plot".to_owned()];
        let axes = ["X", "Y", "Z"].into_iter().zip(self.request.axes());
        for ((letter, axis), levels) in axes.zip(&self.levels) {
            if *axis == Axis::Nothing {
                continue;
            }
            let values = levels
                .iter()
                .map(|level| in_list(level.value(&self.request)));
            let values = values.collect::<Vec<_>>().join(",");
            parts.push(format!("{letter} Type: {}", axis.title()));
            parts.push(format!("{letter} Values: {}", quoted(&values)));
        }
        parts.join(", ")
    }
}

/// What all pictures have in common, in words.
fn shared(drawings: &[&Drawing]) -> Vec<String> {
    fn same<T: PartialEq>(
        drawings: &[&Drawing],
        of: impl Fn(&Drawing) -> T,
        told: impl Fn(T) -> String,
    ) -> String {
        let Some(first) = drawings.first().map(|drawing| of(drawing)) else {
            return String::new();
        };
        if drawings.iter().all(|drawing| of(drawing) == first) {
            told(first)
        } else {
            String::new()
        }
    }
    vec![
        same(
            drawings,
            |drawing| lora_names(&drawing.loras),
            |names| names,
        ),
        same(
            drawings,
            |drawing| drawing.prompt.seed,
            |seed| format!("seed {seed}"),
        ),
        same(
            drawings,
            |drawing| drawing.prompt.steps,
            |steps| format!("{steps} steps"),
        ),
        same(
            drawings,
            |drawing| drawing.settings.sampler_of(&drawing.prompt),
            sampler_label,
        ),
        same(
            drawings,
            |drawing| drawing.prompt.guidance,
            |scale| format!("CFG {scale}"),
        ),
        same(
            drawings,
            |drawing| drawing.size,
            |[width, height]| format!("{width}×{height}"),
        ),
    ]
}

fn lora_names(loras: &[LoraUse]) -> String {
    let name = |lora: &LoraUse| {
        let Strength { text, unet } = lora.strength;
        if text.to_bits() == unet.to_bits() {
            format!("{} at {unet}", lora.name)
        } else {
            format!("{} at {text}:{unet}", lora.name)
        }
    };
    loras.iter().map(name).collect::<Vec<_>>().join(" + ")
}

/// An item of a list, in quotation marks where it holds a comma, as [`super::Axis`] reads it.
fn in_list(item: String) -> String {
    if item.contains([',', '"', '\n']) {
        format!("\"{}\"", item.replace('"', "\"\""))
    } else {
        item
    }
}

/// A value of an infotext, in quotation marks where A1111 needs them to read it back.
fn quoted(value: &str) -> String {
    if value.contains([',', '\n', ':']) {
        serde_json::Value::from(value).to_string()
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{
        example::{plain, plan, prompt, request, settings},
        fingerprint::LoraFingerprint,
    };

    #[test]
    fn the_model_alone_is_drawn_once_for_all_files() {
        let plan = plan(&request());
        assert_eq!(plan.drawings.len(), 5);
        assert_eq!(plan.sheets[0].cells, [[[0], [0]], [[1], [2]], [[3], [4]]]);
    }

    #[test]
    fn labels_tell_what_changes_and_titles_what_does_not() {
        let sheet = &plan(&request()).sheets[0];
        assert_eq!(sheet.columns, ["epoch 1", "epoch 2"]);
        assert_eq!(
            sheet.rows,
            ["strength 0 (base model)", "strength 0.5", "strength 1"]
        );
        assert_eq!(sheet.title, "a fox, sitting");
        assert_eq!(sheet.subtitle, "dog, seed 1, 20 steps, DDIM, CFG 7, 8×8");
        assert_eq!(
            sheet.script,
            "Script: X/Y/Z plot, X Type: LoRA file, X Values: \"dog-000001,dog-000002\", \
             Y Type: LoRA strength, Y Values: \"0,0.5,1\""
        );
    }

    #[test]
    fn sheets_are_told_apart_by_their_level() {
        let axis = |text: &str| text.parse::<Axis>().expect(text);
        let mut request = plain(axis("cfg=3,5"), Axis::Prompts);
        request.z = axis("sr=fox,\"a, b\"");
        request.prompts = vec![prompt("fox"), prompt("a fox --d 4")];
        let plan = plan(&request);
        assert_eq!(plan.sheets.len(), 2);
        assert_eq!(plan.sheets[1].subtitle, "a, b, 20 steps, DDIM, 8×8");
        assert_eq!(plan.sheets[1].title, "");
        assert_eq!(plan.sheets[1].rows, ["fox", "a fox"]);
        assert!(
            plan.sheets[1]
                .script
                .ends_with("Z Type: Prompt S/R, Z Values: \"fox,\\\"a, b\\\"\""),
            "{}",
            plan.sheets[1].script
        );
        assert_eq!(plan.drawings.len(), 8);
    }

    /// Each line changes one thing that decides how a picture looks.
    #[test]
    fn digests_change_with_all_that_decides_a_picture() {
        let fingerprints = |model: &str, lora: &str| {
            let print = LoraFingerprint {
                sha256: lora.to_owned(),
                short: None,
            };
            Fingerprints {
                model: model.to_owned(),
                loras: [("dog-000001.safetensors".into(), print)].into(),
                ..Fingerprints::default()
            }
        };
        let mut request = request();
        request.files.pop();
        request.y = Axis::Nothing;
        let digest = |line: &str, strength: f32, fingerprints: &Fingerprints, settings, size| {
            let mut request = request.clone();
            request.prompts = vec![prompt(line)];
            request.strengths = vec![strength];
            let cells = request.cells().expect("a sound request");
            let plan = cells.plan(fingerprints, settings, |_| size);
            plan.drawings[0].digest.clone()
        };
        let (same, plain) = (fingerprints("m", "l"), settings());
        let base = |line| digest(line, 1.0, &same, plain, [8; 2]);
        let mut told = same.clone();
        told.provenance.model = Some(crate::SourceFile {
            name: "m".to_owned(),
            hash: None,
        });
        let digests = [
            base("a"),
            base("b"),
            base("a --n x"),
            base("a --d 2"),
            base("a --s 3"),
            base("a --l 2"),
            base("a --ss euler"),
            base("a --ss euler-karras"),
            digest("a", 0.5, &same, plain, [8; 2]),
            digest("a", 1.0, &same, plain, [8, 16]),
            digest("a", 1.0, &fingerprints("other", "l"), plain, [8; 2]),
            digest("a", 1.0, &fingerprints("m", "other"), plain, [8; 2]),
            digest("a", 1.0, &told, plain, [8; 2]),
            digest(
                "a",
                1.0,
                &same,
                DrawSettings {
                    clip_skip: 2,
                    ..plain
                },
                [8; 2],
            ),
        ];
        for (index, digest) in digests.iter().enumerate() {
            assert_eq!(digest.len(), 32);
            assert!(
                !digests[..index].contains(digest),
                "change {index} is not seen"
            );
        }
        // What is said and what is the default are the same picture.
        assert_eq!(base("a"), base("a --d 1 --w 8 --h 8 --ss ddim"));
    }
}
