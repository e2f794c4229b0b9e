use std::{ops::ControlFlow, path::PathBuf};

use clap::Args;
use lora_data::{
    Resolution,
    faces::face_set::{FaceCaption, FaceSet, FaceSetOptions, FaceSetReport, PictureOutcome},
};
use lora_train::Handle;

use crate::{
    cli::End, draw_arguments::size, faces_text, finder_arguments::FinderArguments, interrupt,
    printer::Printer,
};

const EXAMPLES: &str = "\
Examples:
  lora faces pictures --dry-run
  lora faces \"dataset/10_sks person\" --size 512 --repeats 5
  lora faces dataset --caption-prefix \"close-up, \" --caption-remove \"full body, boots\"
  lora faces drawings --model anime-face-yolov8.onnx --score 0.4

Crops of `10_sks person` go to `10_sks person_face` beside it, so that training on the folder that
holds both shows details of the face as well; the number is how often an epoch shows each. A folder
that has no number gets one in front: pictures → 1_pictures_face. Pictures are only read. Run it
again at any time: only what has changed is cut again, captions that you edited stay, and crops that
you removed are not made anew.

Without --model it is YuNet that looks, for photographs. Models by path: those with YuNet's outputs,
and YOLO models exported to ONNX (v5, v8 and later), such as detectors of faces in drawings.";

/// Cut out the faces of pictures, with captions, as folders of their own to train with
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Faces {
    /// A folder of pictures, or one of N_class folders
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Tell what would be done, face by face, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Make all crops anew, also those that were edited or removed by hand
    #[arg(long)]
    force: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    crop: CropArguments,
    #[command(flatten)]
    caption: CaptionArguments,
    #[command(flatten)]
    finder: FinderArguments,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Crops")]
struct CropArguments {
    /// Where to make the folders of crops; beside the pictures' when left out
    #[arg(short, long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// How often an epoch shows each crop; as its picture when left out
    #[arg(long, value_name = "N")]
    repeats: Option<u32>,
    /// What is shown around a face on every side, in lengths of the face
    #[arg(long, value_name = "LENGTHS", default_value_t = FaceSetOptions::default().margin)]
    margin: f32,
    /// Scale larger crops down to this size, as 512 or 512x768
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<[u32; 2]>,
    /// Scale smaller crops up to --size
    #[arg(long, requires = "size")]
    enlarge: bool,
    /// Width and height of crops in proportion, as 2x3; square when left out
    #[arg(long, value_name = "WxH", value_parser = size, conflicts_with = "size")]
    aspect: Option<[u32; 2]>,
    /// Leave out faces whose shorter side has fewer pixels
    #[arg(long, value_name = "PIXELS", default_value_t = FaceSetOptions::default().min_size)]
    min_size: u32,
    /// Leave out crops that show more than this share of their picture
    #[arg(long, value_name = "SHARE", default_value_t = FaceSetOptions::default().max_share)]
    max_share: f32,
    /// Cut out so many faces of one picture at most, the largest
    #[arg(long, value_name = "N")]
    max: Option<usize>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Captions")]
struct CaptionArguments {
    /// What to put in front of captions, as it stands
    #[arg(
        long = "caption-prefix",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
    /// Tags to add behind, separated by commas
    #[arg(long = "caption-add", value_name = "TAGS", default_value_t = FaceCaption::default().add.join(", "))]
    add: String,
    /// Tags to take out, separated by commas, for they are not true of a crop
    #[arg(long = "caption-remove", value_name = "TAGS", default_value_t = FaceCaption::default().remove.join(", "))]
    remove: String,
}

impl Faces {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let finder = self.finder.load()?;
        let set = FaceSet::open(&self.folder, self.options())?;
        for note in set.notes() {
            printer.note(note);
        }
        let handle = Handle::default();
        interrupt::stop_on_ctrl_c(handle.clone(), printer.clone())?;
        let bar = printer.bar(set.pictures() as u64, "pictures");
        let report = set.write(&finder, &mut |progress| {
            bar.set_position(progress.done as u64);
            if handle.is_stopping() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        bar.finish_and_clear();
        let report = report?;
        if self.json {
            printer.document(&report);
        } else {
            if self.dry_run {
                printer.result(&faces_text::table(&report));
            }
            printer.result(&faces_text::summary(&report, self.dry_run));
        }
        Ok(end(&report))
    }

    fn options(&self) -> FaceSetOptions {
        let CropArguments { size, aspect, .. } = self.crop;
        let resolution = |[width, height]: [u32; 2]| Resolution { width, height };
        let defaults = FaceSetOptions::default();
        FaceSetOptions {
            margin: self.crop.margin,
            aspect: size.or(aspect).map_or(defaults.aspect, resolution),
            size: size.map(resolution),
            enlarge: self.crop.enlarge,
            min_size: self.crop.min_size,
            max_share: self.crop.max_share,
            most: self.crop.max,
            caption: FaceCaption {
                prefix: self.caption.prefix.clone(),
                add: tags(&self.caption.add),
                remove: tags(&self.caption.remove),
            },
            repeats: self.crop.repeats,
            out: self.crop.out.clone(),
            force: self.force,
            dry_run: self.dry_run,
            ..defaults
        }
    }
}

fn tags(text: &str) -> Vec<String> {
    let tags = text.split(',').map(str::trim);
    tags.filter(|tag| !tag.is_empty())
        .map(String::from)
        .collect()
}

fn end(report: &FaceSetReport) -> End {
    let failed = |outcome: &PictureOutcome| matches!(outcome, PictureOutcome::Failed(_));
    if report.stopped {
        End::Stopped
    } else if report
        .pictures
        .iter()
        .any(|picture| failed(&picture.outcome))
    {
        End::Unfit
    } else {
        End::Done
    }
}
