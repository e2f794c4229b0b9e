use std::{
    io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::bail;
use atomic_file::write_atomically;
use clap::{ArgGroup, Args, ValueEnum};
use lora_data::{
    AlphaPolicy, BucketConfig, Resolution,
    faces::{FaceFinder, OnnxFaceFinder},
    prepare::{
        CropMode, DuplicatePolicy, OutputFormat, Preparation, PrepareOptions, PrepareReport,
        PreparedState, SmallPolicy, Target,
    },
};
use lora_train::{
    Handle,
    picture::{contact_page, write_contact_sheet},
};
use serde::Serialize;

use crate::{
    cli::End, draw_arguments::size, finder_arguments::FinderArguments, interrupt,
    prepare_progress::PictureBar, prepare_text, printer::Printer,
};

/// The contact sheet's page in the out folder.
const PAGE: &str = "contact-sheet.html";

const EXAMPLES: &str = "\
Examples:
  lora prepare pile prepared --size 512 --dry-run
  lora prepare pile \"dataset/10_sks person\" --size 512x768 --crop face
  lora prepare dataset prepared --buckets 768 --duplicates skip --skip-blurred
  lora prepare pile prepared --size 512 --boxes boxes.csv --small upscale
  lora prepare pile prepared --max-side 2048 --format jpeg --alpha mask

Pictures are turned as their EXIF data says, brought to sRGB and cut; what is made of IN/a.jpg is
OUT/a.png, in a folder of the same name. Captions (.txt, .caption) come along as they are, masks
(a-masklabel.png) are cut like their picture. Originals are only read. Without --size and --buckets
nothing is cut off.

By default nothing is left out: small, blurred and doubled pictures are told, and pictures that are
smaller than --size are cut to its proportions and not enlarged. OUT/contact-sheet.html shows what
was done.

A second run makes only what has changed, and one that was stopped or killed goes on. Files in OUT
that somebody else made, or changed by hand, are never touched without --force.

A file of boxes is CSV with the header name,x,y,width,height, or one JSON object a line: pixels of
the picture as it is shown, names as file names or as paths below IN.";

/// Make clean pictures of one size, or of buckets' sizes, of a pile of pictures
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, group(ArgGroup::new("target").args(["size", "buckets"])))]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
pub(crate) struct Prepare {
    /// A folder of pictures, or one of N_class folders
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The folder to write to, which may be there
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// Enter all folders in IN
    #[arg(short, long)]
    recursive: bool,
    /// Tell what would be done, picture by picture, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Make all pictures anew, and replace files in OUT that others made or changed
    #[arg(long)]
    force: bool,
    /// Remove what an earlier run made of pictures that are gone
    #[arg(long)]
    prune: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Contact sheet: html in OUT, png beside OUT, so that nobody trains on it
    #[arg(long, value_name = "KIND", default_value = "html")]
    sheet: Sheet,
    /// Pictures worked on, and in memory, at the same time [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    target: TargetArguments,
    #[command(flatten)]
    writing: WritingArguments,
    #[command(flatten)]
    findings: FindingArguments,
    #[command(flatten)]
    finder: FinderArguments,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Size and crop")]
struct TargetArguments {
    /// Cut all pictures to this size, as 512 or 512x768
    #[arg(long, value_name = "SIZE", value_parser = size)]
    size: Option<[u32; 2]>,
    /// Cut each picture to the bucket that training at this resolution would choose
    #[arg(long, value_name = "SIZE", value_parser = size)]
    buckets: Option<[u32; 2]>,
    /// Sides of buckets are multiples of this
    #[arg(long, value_name = "PIXELS", requires = "buckets", conflicts_with = "size", default_value_t = BucketConfig::default().step)]
    bucket_step: u32,
    /// The shortest side of a bucket
    #[arg(long, value_name = "PIXELS", requires = "buckets", conflicts_with = "size", default_value_t = BucketConfig::default().min)]
    bucket_min: u32,
    /// The longest side of a bucket
    #[arg(long, value_name = "PIXELS", requires = "buckets", conflicts_with = "size", default_value_t = BucketConfig::default().max)]
    bucket_max: u32,
    /// Make buckets to fit the pictures instead of enlarging pictures, as kohya's bucket_no_upscale
    #[arg(long, requires = "buckets", conflicts_with = "size")]
    no_upscale: bool,
    /// Scale pictures down whose longer side has more pixels; nothing is cut off
    #[arg(long, value_name = "PIXELS", conflicts_with = "target")]
    max_side: Option<u32>,
    /// What is kept: the centre, where most is to be seen, faces, or all of it, scaled to cover
    #[arg(long, value_name = "HOW", requires = "target")]
    crop: Option<Crop>,
    /// Parts of pictures to use instead of the whole ones, chosen by hand
    #[arg(long, value_name = "FILE")]
    boxes: Option<PathBuf>,
    /// Pictures that would have to be enlarged: keep their size, upscale, or skip them
    #[arg(long, value_name = "HOW", default_value = "keep")]
    small: Small,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "What is written")]
struct WritingArguments {
    /// Format of the pictures; png and webp are without loss
    #[arg(long, value_name = "FORMAT", default_value = "png")]
    format: Format,
    /// Quality of JPEG files, 1 to 100
    #[arg(long, value_name = "N", default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// Transparency: lay over the matte colour, write as NAME-masklabel.png too, or refuse
    #[arg(long, value_name = "HOW", default_value = "matte")]
    alpha: Alpha,
    /// The colour under transparent pixels: white, black or #rrggbb
    #[arg(long, value_name = "COLOUR", default_value = "white", value_parser = colour)]
    matte: [u8; 3],
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Copies and blurred pictures")]
struct FindingArguments {
    /// Copies: report them, or skip all but the one with the most pixels
    #[arg(long, value_name = "HOW", default_value = "report")]
    duplicates: Duplicates,
    /// Pictures are copies when their perceptual hashes differ in no more bits, of 256
    #[arg(long, value_name = "BITS", default_value_t = PrepareOptions::default().near)]
    near: u32,
    /// Call pictures blurred whose sharpness is below this (variance of the Laplacian)
    #[arg(long, value_name = "N", default_value_t = PrepareOptions::default().blur)]
    blur: u32,
    /// Leave blurred pictures out
    #[arg(long)]
    skip_blurred: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sheet {
    Html,
    Png,
    Both,
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Crop {
    #[value(alias = "center")]
    Centre,
    Smart,
    Face,
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Small {
    Keep,
    Upscale,
    Skip,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Png,
    Webp,
    #[value(alias = "jpg")]
    Jpeg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Alpha {
    Matte,
    Mask,
    Error,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Duplicates {
    Report,
    Skip,
}

/// What came out.
#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    /// Whether all pictures were reached.
    complete: bool,
    sheets: &'a [PathBuf],
    #[serde(flatten)]
    report: &'a PrepareReport,
}

impl Prepare {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let preparation = Preparation::open(&self.input, &self.output, self.options())?;
        for note in preparation.notes() {
            printer.note(note);
        }
        let sheets = self.sheets(&preparation)?;
        let finder = self.finder()?;
        let finder = finder.as_ref().map(|finder| finder as &dyn FaceFinder);
        let handle = Handle::default();
        interrupt::stop_on_ctrl_c(handle.clone(), printer.clone())?;
        let mut bar = PictureBar::new(printer, &handle);
        let report = preparation.run(finder, &mut |progress| bar.told(progress));
        drop(bar);
        let report = report?;
        let is_complete = report.left == 0;
        if is_complete && !self.dry_run {
            for path in &sheets {
                self.write_sheet(&report, path, printer)?;
            }
        }
        if self.json {
            printer.document(&Document {
                dry_run: self.dry_run,
                complete: is_complete,
                sheets: if is_complete { &sheets } else { &[] },
                report: &report,
            });
        } else {
            if self.dry_run {
                printer.result(&prepare_text::table(&report));
            }
            printer.result(&prepare_text::summary(&report, self.dry_run));
            if is_complete {
                for path in &sheets {
                    printer.result(&format!("contact sheet: {}", path.display()));
                }
            }
        }
        Ok(end(&report))
    }

    fn options(&self) -> PrepareOptions {
        let (target, writing, findings) = (&self.target, &self.writing, &self.findings);
        let defaults = PrepareOptions::default();
        PrepareOptions {
            target: target.target(),
            crop: target.crop.map_or(defaults.crop, Crop::mode),
            small: match target.small {
                Small::Keep => SmallPolicy::Keep,
                Small::Upscale => SmallPolicy::Upscale,
                Small::Skip => SmallPolicy::Skip,
            },
            format: match writing.format {
                Format::Png => OutputFormat::Png,
                Format::Webp => OutputFormat::Webp,
                Format::Jpeg => OutputFormat::Jpeg {
                    quality: writing.quality,
                },
            },
            alpha: match writing.alpha {
                Alpha::Matte => AlphaPolicy::Matte(writing.matte),
                Alpha::Mask => AlphaPolicy::Mask,
                Alpha::Error => AlphaPolicy::Refuse,
            },
            matte: writing.matte,
            boxes: target.boxes.clone(),
            recursive: self.recursive,
            near: findings.near,
            duplicates: match findings.duplicates {
                Duplicates::Report => DuplicatePolicy::Report,
                Duplicates::Skip => DuplicatePolicy::Skip,
            },
            blur: findings.blur,
            skip_blurred: findings.skip_blurred,
            thumbnails: self.sheet != Sheet::None,
            prune: self.prune,
            force: self.force,
            dry_run: self.dry_run,
            threads: self.threads,
            ..defaults
        }
    }

    /// The detector, where faces are looked for.
    fn finder(&self) -> anyhow::Result<Option<OnnxFaceFinder>> {
        match self.target.crop {
            Some(Crop::Face) => Ok(Some(self.finder.load()?)),
            _ => Ok(None),
        }
    }

    /// Where contact sheets are written.
    fn sheets(&self, preparation: &Preparation) -> anyhow::Result<Vec<PathBuf>> {
        if self.dry_run {
            return Ok(Vec::new());
        }
        let page = || self.output.join(PAGE);
        let sheets = match self.sheet {
            Sheet::Html => vec![page()],
            Sheet::Png => vec![beside(&self.output)?],
            Sheet::Both => vec![page(), beside(&self.output)?],
            Sheet::None => Vec::new(),
        };
        if !self.force
            && !preparation.has_run_before()
            && let Some(path) = sheets.iter().find(|path| path.exists())
        {
            bail!(
                "{}: is there and was not made by lora prepare; remove it, choose another out folder, replace it \
                 with --force, or leave the sheet out with --sheet none",
                path.display()
            );
        }
        Ok(sheets)
    }

    fn write_sheet(
        &self,
        report: &PrepareReport,
        path: &Path,
        printer: &Printer,
    ) -> anyhow::Result<()> {
        let title = format!("Contact sheet of {}", name(&self.output));
        if path.ends_with(PAGE) {
            write_atomically(path, |file| {
                contact_page(report, &title, file).map_err(io::Error::other)
            })?;
            return Ok(());
        }
        let left_out = write_atomically(path, |file| {
            write_contact_sheet(report, &title, file).map_err(io::Error::other)
        })?;
        if left_out > 0 {
            let path = path.display();
            printer.note(&format!("{path}: had no room for {left_out} pictures"));
        }
        Ok(())
    }
}

impl TargetArguments {
    fn target(&self) -> Target {
        let resolution = |[width, height]: [u32; 2]| Resolution { width, height };
        match (self.size, self.buckets) {
            (Some(size), _) => Target::Size(resolution(size)),
            (None, Some(size)) => Target::Buckets {
                resolution: resolution(size),
                config: BucketConfig {
                    min: self.bucket_min,
                    max: self.bucket_max,
                    step: self.bucket_step,
                    no_upscale: self.no_upscale,
                },
            },
            (None, None) => Target::Whole {
                max_side: self.max_side,
            },
        }
    }
}

impl Crop {
    fn mode(self) -> CropMode {
        match self {
            Self::Centre => CropMode::Centre,
            Self::Smart => CropMode::Smart,
            Self::Face => CropMode::Face,
            Self::None => CropMode::None,
        }
    }
}

/// `OUT-contact-sheet.png`: in OUT, it would be taken for a picture to train on.
fn beside(output: &Path) -> anyhow::Result<PathBuf> {
    let Some(name) = output.file_name() else {
        bail!(
            "{}: has no name to call a contact sheet by; use --sheet html",
            output.display()
        );
    };
    let mut name = name.to_owned();
    name.push("-contact-sheet.png");
    Ok(output.with_file_name(name))
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// A colour, as `white`, `black` or `#rrggbb`.
///
/// # Errors
/// When it is written otherwise.
fn colour(text: &str) -> Result<[u8; 3], String> {
    let digits = match text {
        "white" => "ffffff",
        "black" => "000000",
        text => text.strip_prefix('#').unwrap_or_default(),
    };
    let is_hexadecimal = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(digits, 16)
        .ok()
        .filter(|_| is_hexadecimal);
    let [_, red, green, blue] = number
        .ok_or("write it as white, black or #rrggbb")?
        .to_be_bytes();
    Ok([red, green, blue])
}

fn end(report: &PrepareReport) -> End {
    let failed = |state: &PreparedState| matches!(state, PreparedState::Failed { .. });
    if report.left > 0 {
        End::Stopped
    } else if report.pictures.iter().any(|picture| failed(&picture.state)) {
        End::Unfit
    } else {
        End::Done
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        prepare: Prepare,
    }

    fn parsed(arguments: &[&str]) -> Result<PrepareOptions, clap::Error> {
        let all = ["prepare", "in", "out"].iter().chain(arguments);
        Program::try_parse_from(all).map(|program| program.prepare.options())
    }

    #[test]
    fn without_options_the_librarys_defaults_hold_and_a_sheet_is_made() {
        let expected = PrepareOptions {
            thumbnails: true,
            ..PrepareOptions::default()
        };
        assert_eq!(parsed(&[]).unwrap(), expected);
    }

    #[test]
    fn options_reach_the_library() {
        let options = parsed(&[
            "--buckets",
            "768",
            "--bucket-step",
            "32",
            "--no-upscale",
            "--crop",
            "center",
            "--format",
            "jpg",
            "--quality",
            "80",
            "--alpha",
            "mask",
            "--matte",
            "#0a0B0c",
            "--sheet",
            "none",
        ]);
        let options = options.unwrap();
        let config = BucketConfig {
            step: 32,
            no_upscale: true,
            ..BucketConfig::default()
        };
        let resolution = Resolution::square(768);
        assert_eq!(options.target, Target::Buckets { resolution, config });
        assert_eq!(options.format, OutputFormat::Jpeg { quality: 80 });
        assert_eq!(
            (options.alpha, options.matte),
            (AlphaPolicy::Mask, [10, 11, 12])
        );
        assert!(!options.thumbnails);
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        for wrong in [
            &["--size", "512", "--buckets", "512"][..],
            &["--max-side", "512", "--size", "512"],
            &["--crop", "smart"],
            &["--no-upscale", "--size", "512"],
            &["--bucket-step", "32", "--size", "512"],
            &["--bucket-max", "512"],
            &["--quality", "0"],
            &["--matte", "#12345"],
            &["--matte", "red"],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_png_lies_beside_the_out_folder() {
        assert_eq!(
            beside("a/out".as_ref()).unwrap(),
            Path::new("a/out-contact-sheet.png")
        );
        assert!(beside("..".as_ref()).is_err());
    }
}
