use std::{collections::BTreeMap, path::Path};

use thiserror::Error;

use super::{CellFolder, CellFolderError, DrawError, Drawer, Drawing, GridPlan, LoraUse};
use crate::Flow;

/// At most so many pictures are drawn at once, and no more pixels than one of 512 × 512: what a stop loses stays small.
const BATCH: usize = 8;
const BATCH_PIXELS: usize = 512 * 512;

/// How far a grid has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridProgress {
    /// Pictures drawn now.
    pub drawn: usize,
    /// Pictures that had to be drawn when it began.
    pub to_draw: usize,
    /// Pictures that were there from before.
    pub kept: usize,
}

impl GridProgress {
    /// Whether every picture is there.
    pub fn is_complete(&self) -> bool {
        self.drawn == self.to_draw
    }
}

/// Why a grid was not drawn to its end. What was drawn is kept.
#[derive(Debug, Error)]
pub enum GridError {
    /// A picture cannot be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// A picture cannot be kept.
    #[error(transparent)]
    Folder(#[from] CellFolderError),
}

impl GridPlan {
    /// Draws the pictures that are not in `folder` yet, LoRA by LoRA, and keeps each as soon as it is there; `told` hears
    /// how far it has come, at the beginning too, and may end it.
    ///
    /// # Errors
    /// [`GridError`]. All LoRA files are tried on the model before the first picture is drawn.
    pub fn draw(
        &self,
        folder: &CellFolder,
        drawer: &mut impl Drawer,
        mut told: impl FnMut(GridProgress) -> Flow,
    ) -> Result<GridProgress, GridError> {
        let missing = self.missing(folder);
        let mut progress = GridProgress {
            drawn: 0,
            to_draw: missing.len(),
            kept: self.drawings.len() - missing.len(),
        };
        if missing.is_empty() {
            return Ok(progress);
        }
        drawer.check(&files(&missing))?;
        if told(progress).is_break() {
            return Ok(progress);
        }
        for batch in batches(&missing) {
            let prompts: Vec<_> = batch.iter().map(|drawing| drawing.prompt.clone()).collect();
            let pictures = drawer.draw(&batch[0].loras, &prompts, batch[0].settings)?;
            for (drawing, picture) in batch.iter().zip(&pictures) {
                folder.put(drawing, picture)?;
            }
            progress.drawn += batch.len();
            if told(progress).is_break() {
                break;
            }
        }
        Ok(progress)
    }

    /// The pictures that are not there, in an order that changes LoRA files and strengths as seldom as can be.
    fn missing(&self, folder: &CellFolder) -> Vec<&Drawing> {
        let mut missing: Vec<&Drawing> = self
            .drawings
            .iter()
            .filter(|drawing| !folder.has(drawing))
            .collect();
        let files = first_places(&missing, |drawing| paths(&drawing.loras));
        let uses = first_places(&missing, |drawing| strengths(&drawing.loras));
        missing.sort_by_cached_key(|drawing| {
            let place = files[&paths(&drawing.loras)];
            // The model alone goes first: it is what all others are compared with.
            (
                !drawing.loras.is_empty(),
                place,
                uses[&strengths(&drawing.loras)],
            )
        });
        missing
    }
}

/// The place where each key comes up first.
fn first_places<K: Ord>(drawings: &[&Drawing], key: impl Fn(&Drawing) -> K) -> BTreeMap<K, usize> {
    let mut places = BTreeMap::new();
    for (index, drawing) in drawings.iter().enumerate() {
        places.entry(key(drawing)).or_insert(index);
    }
    places
}

fn paths(loras: &[LoraUse]) -> Vec<std::path::PathBuf> {
    loras.iter().map(|lora| lora.path.clone()).collect()
}

fn strengths(loras: &[LoraUse]) -> Vec<[u32; 2]> {
    loras
        .iter()
        .map(|lora| [lora.strength.text.to_bits(), lora.strength.unet.to_bits()])
        .collect()
}

/// The LoRA files of these pictures, each once.
fn files<'a>(drawings: &[&'a Drawing]) -> Vec<&'a Path> {
    let mut files: Vec<&Path> = Vec::new();
    for lora in drawings.iter().flat_map(|drawing| &drawing.loras) {
        if !files.contains(&lora.path.as_path()) {
            files.push(&lora.path);
        }
    }
    files
}

/// Neighbours that can be drawn at once.
fn batches<'a>(drawings: &'a [&'a Drawing]) -> impl Iterator<Item = &'a [&'a Drawing]> {
    let alike = |left: &&Drawing, right: &&Drawing| {
        left.loras == right.loras
            && left.settings == right.settings
            && left.size == right.size
            && left.prompt.sampler == right.prompt.sampler
            && left.prompt.steps == right.prompt.steps
            && (left.prompt.guidance - right.prompt.guidance).abs() < f64::EPSILON
    };
    drawings.chunk_by(alike).flat_map(|group| {
        let [width, height] = group[0].size.map(|side| side as usize);
        let most = (BATCH_PIXELS / (width * height).max(1)).clamp(1, BATCH);
        group.chunks(most)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{
        Axis, GridRequest,
        example::{Painter, plain, plan, request},
    };

    fn go_on(_: GridProgress) -> Flow {
        Flow::Continue(())
    }

    fn folder(path: &Path) -> CellFolder {
        CellFolder::create(path.join("grid.cells")).expect("a folder")
    }

    /// Draws the request into the folder; gives the progress at its end and the drawer's notes.
    fn drawn(request: &GridRequest, folder: &CellFolder) -> (GridProgress, Painter) {
        let mut painter = Painter::default();
        let progress = plan(request).draw(folder, &mut painter, go_on);
        (progress.expect("drawn"), painter)
    }

    #[test]
    fn the_base_is_drawn_first_and_each_file_at_all_strengths_before_the_next() {
        let parent = tempfile::tempdir().expect("a folder");
        let (progress, painter) = drawn(&request(), &folder(parent.path()));
        assert_eq!((progress.drawn, progress.to_draw, progress.kept), (5, 5, 0));
        let named = |name: &str, strength| vec![(name.to_owned(), strength)];
        assert_eq!(
            painter.loras,
            [
                vec![],
                named("dog-000001", 0.5),
                named("dog-000001", 1.0),
                named("dog-000002", 0.5),
                named("dog-000002", 1.0),
            ]
        );
        assert_eq!(painter.checked, 2);
    }

    #[test]
    fn pictures_of_one_lora_are_drawn_several_at_once_but_not_many() {
        let parent = tempfile::tempdir().expect("a folder");
        let seeds = plain(
            "seed=1-19".parse().expect("an axis"),
            "cfg=3,5".parse().expect("an axis"),
        );
        let (progress, painter) = drawn(&seeds, &folder(parent.path()));
        assert_eq!(progress.drawn, 38);
        assert_eq!(painter.calls, [8, 8, 3, 8, 8, 3]);
        assert_eq!(painter.changes, 0);
    }

    #[test]
    fn what_is_there_is_not_drawn_again_and_a_change_draws_only_what_it_changes() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = folder(parent.path());
        let mut request = request();
        drawn(&request, &folder);
        let (again, painter) = drawn(&request, &folder);
        assert_eq!((again.drawn, again.to_draw, again.kept), (0, 0, 5));
        assert_eq!(painter.checked, 0, "nothing to check");

        request.y = Axis::Strength(vec![0.0, 0.5, 0.75, 1.0]);
        let (more, painter) = drawn(&request, &folder);
        assert_eq!((more.drawn, more.kept), (2, 5));
        let strengths = painter.loras.iter().map(|lora| lora[0].1);
        assert_eq!(strengths.collect::<Vec<_>>(), [0.75, 0.75]);

        request.prompts[0].seed = 9;
        let (other, _) = drawn(&request, &folder);
        assert_eq!((other.drawn, other.kept), (7, 0));
        folder.clear(Some(&plan(&request))).expect("cleared");
        assert_eq!(pictures(&folder), 7);
    }

    #[test]
    fn a_stop_keeps_what_is_drawn_and_the_same_request_goes_on() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = folder(parent.path());
        let plan = plan(&request());
        let stop = |progress: GridProgress| match progress.drawn {
            0 | 1 => Flow::Continue(()),
            _ => Flow::Break(()),
        };
        let progress = plan
            .draw(&folder, &mut Painter::default(), stop)
            .expect("drawn");
        assert_eq!((progress.drawn, progress.to_draw), (2, 5));
        assert!(!progress.is_complete());
        let grid = &plan.grids(&folder)[0];
        assert!(
            grid.subtitle.ends_with("2 of 5 pictures so far"),
            "{}",
            grid.subtitle
        );
        // Half a file, as a crash of another program might leave it, does not count as a picture.
        let broken = plan.drawings.iter().find(|drawing| folder.has(drawing));
        let broken = folder.file(broken.expect("a picture"));
        std::fs::write(broken, "half").expect("written");
        let (rest, _) = drawn(&request(), &folder);
        assert_eq!((rest.drawn, rest.kept), (4, 1));
        assert!(!plan.grids(&folder)[0].subtitle.contains("so far"));

        // As if it had never stopped.
        let other = CellFolder::create(parent.path().join("other")).expect("a folder");
        drawn(&request(), &other);
        for drawing in &plan.drawings {
            let bytes = |folder: &CellFolder| std::fs::read(folder.file(drawing)).expect("there");
            assert_eq!(bytes(&folder), bytes(&other));
        }
    }

    #[test]
    fn pictures_carry_their_settings() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = folder(parent.path());
        drawn(&request(), &folder);
        let plan = plan(&request());
        let bytes = std::fs::read(folder.file(&plan.drawings[2])).expect("a picture");
        let text = crate::picture::png::read_parameters(&bytes).expect("a PNG");
        let text = text.expect("settings");
        assert_eq!(text, plan.drawings[2].parameters);
        assert!(
            text.starts_with("a fox, sitting <lora:dog-000002:0.5>\nNegative prompt: blurry\n")
        );
    }

    fn pictures(folder: &CellFolder) -> usize {
        let entries = std::fs::read_dir(folder.path()).expect("a folder");
        entries.count()
    }
}
