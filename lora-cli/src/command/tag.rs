use std::{num::NonZeroUsize, path::PathBuf, thread};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use lora_data::tagger::{
    CaptionMode, ChannelOrder, OnnxTagger, OnnxTaggerConfig, PixelLayout, PixelScale, TagConfig,
    TagPattern, TagReplacement, TagReport, TagRun, TagSelection, TagWording, TaggedPicture, Tagger,
};
use lora_train::Handle;
use serde::{Serialize, de::DeserializeOwned};

use crate::{cli::End, interrupt, printer::Printer, tag_progress::TagProgress};

/// How many of the most frequent tags are told.
const FREQUENT: usize = 20;
/// How many names of pictures are told before the others are counted.
const NAMES: usize = 10;

const EXAMPLES: &str = "\
Examples:
  lora tag pictures/ -m wd-vit-tagger-v3/ --dry-run
  lora tag pictures/ -m wd-vit-tagger-v3/model.onnx --prepend \"sks dog\"
  lora tag pictures/ -m wd-vit-tagger-v3/ --mode append --exclude \"solo, *_background\"
  lora tag pictures/ -m wd-vit-tagger-v3/ --replace \"1girl=woman\" --no-characters
  lora tag pictures/ -m other/tagger.onnx --tags other/tags.csv --scale imagenet --channels rgb

The tagger is yours to get: an ONNX file that takes a picture and gives a number for each tag of a
list, such as SmilingWolf's WD14 taggers with their selected_tags.csv.

Modes, for pictures that have a caption with words in it:
  skip       keep it, and do not look at the picture
  overwrite  replace it
  append     add tags that it does not have behind its own; further lines stay as they are
  prepend    add them before its own

What --exclude takes: \"long hair\" that tag, \"*_background\" all that end so, \"/^(red|blue) /\" all
that the regular expression finds. Underscores and spaces are the same, and so are capitals.

A run that was stopped goes on when it is started again. Broken pictures are named, the others are
tagged, and the exit code is 1.";

/// Write captions by a tagger: what is to be seen on each picture, as tags
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tag {
    /// Folder of pictures, or of N_class folders
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The tagger: an ONNX file, or the folder of a model.onnx
    #[arg(short, long, value_name = "MODEL")]
    model: PathBuf,
    /// Its list of tags [default: selected_tags.csv beside the model]
    #[arg(long, value_name = "FILE")]
    tags: Option<PathBuf>,
    /// Enter all folders in the folder
    #[arg(short, long)]
    recursive: bool,
    /// Print the tags and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print what came out as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: SelectionArguments,
    #[command(flatten)]
    writing: WritingArguments,
    #[command(flatten)]
    running: RunningArguments,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Which tags")]
struct SelectionArguments {
    /// Take general tags above this probability
    #[arg(long, value_name = "P", default_value_t = TagSelection::default().general_threshold)]
    general_threshold: f32,
    /// Take characters above this probability
    #[arg(long, value_name = "P", default_value_t = TagSelection::default().character_threshold)]
    character_threshold: f32,
    /// Let each picture set its own thresholds, at the widest gap between its probabilities
    #[arg(long)]
    mcut: bool,
    /// Leave characters out
    #[arg(long)]
    no_characters: bool,
    /// Add the likeliest rating
    #[arg(long)]
    rating: bool,
    /// Never write these tags; may be given several times
    #[arg(long, value_name = "TAGS", value_parser = patterns)]
    exclude: Vec<Patterns>,
}

/// What one `--exclude` names. A type of its own, for clap takes a `Vec` for several values.
type Patterns = std::sync::Arc<[TagPattern]>;

#[derive(Args, Debug)]
#[command(next_help_heading = "How they are written")]
struct WritingArguments {
    /// What becomes of captions that are there
    #[arg(long, value_name = "MODE", default_value = "skip",
        value_parser = named::<CaptionMode>(&["skip", "overwrite", "append", "prepend"]))]
    mode: CaptionMode,
    /// Put these words first in every caption, such as the trigger word
    #[arg(long, value_name = "WORDS")]
    prepend: Vec<String>,
    /// Put these words last in every caption
    #[arg(long, value_name = "WORDS")]
    append: Vec<String>,
    /// Write a tag as another; may be given several times
    #[arg(long, value_name = "OLD=NEW")]
    replace: Vec<TagReplacement>,
    /// Write long_hair, not "long hair"; faces such as ^_^ stay in either case
    #[arg(long)]
    keep_underscores: bool,
    /// Write brackets with a backslash, as prompts of A1111 want them
    #[arg(long)]
    escape_brackets: bool,
    /// The extension of caption files [default: txt, or caption where such a file is there]
    #[arg(long, value_name = "EXTENSION")]
    extension: Option<String>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "How the tagger is run")]
struct RunningArguments {
    /// Pictures worked on at the same time [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Pictures that each thread gives the tagger at once, where the model leaves it open; more than
    /// one seldom pays
    #[arg(long, value_name = "N", default_value = "1")]
    batch: NonZeroUsize,
    /// Width and height of the tagger's pictures, where the model leaves it open [default: 448]
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=4096))]
    size: Option<u32>,
    /// Which channel the tagger takes first
    #[arg(long, value_name = "ORDER", default_value = "bgr",
        value_parser = named::<ChannelOrder>(&["bgr", "rgb"]))]
    channels: ChannelOrder,
    /// What the tagger takes for a byte: 0 to 255, 0 to 1, -1 to 1, or less a mean
    /// [default: bytes, or signed where channels are planes]
    #[arg(long, value_name = "SCALE",
        value_parser = named::<PixelScale>(&["bytes", "unit", "signed", "imagenet", "clip"]))]
    scale: Option<PixelScale>,
    /// The tagger gives logits; otherwise that is told by its numbers
    #[arg(long)]
    logits: bool,
}

/// What came out.
#[derive(Serialize)]
struct Document<'a> {
    model: String,
    tags: String,
    dry_run: bool,
    /// Whether all pictures were reached.
    complete: bool,
    #[serde(flatten)]
    report: &'a TagReport,
    pictures: &'a [TaggedPicture],
}

impl Tag {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let config = self.config();
        config.check()?;
        let tagger = OnnxTagger::load(&self.model, self.tags.as_deref(), &self.tagger_config())?;
        tell_tagger(&tagger, &config.wording, printer);
        let handle = Handle::default();
        interrupt::stop_on_ctrl_c(handle.clone(), printer.clone())?;
        let run = TagRun {
            tagger: &tagger,
            config: &config,
            threads: self.threads(),
            dry_run: self.dry_run,
        };
        let mut progress = TagProgress::new(printer, &handle, self.dry_run, self.json);
        let report = run.run(&self.folder, |event| progress.told(event))?;
        let pictures = progress.into_pictures();
        if self.json {
            printer.document(&Document {
                model: tagger.path().display().to_string(),
                tags: tagger.tags().path().display().to_string(),
                dry_run: self.dry_run,
                complete: report.left == 0,
                report: &report,
                pictures: &pictures,
            });
        } else {
            printer.result(&summary(&report, self.dry_run));
        }
        Ok(end(&report, printer))
    }

    fn config(&self) -> TagConfig {
        let (selection, writing) = (&self.selection, &self.writing);
        TagConfig {
            selection: TagSelection {
                general_threshold: selection.general_threshold,
                character_threshold: selection.character_threshold,
                mcut: selection.mcut,
                characters: !selection.no_characters,
                rating: selection.rating,
            },
            wording: TagWording {
                exclude: selection
                    .exclude
                    .iter()
                    .flat_map(|some| some.iter().cloned())
                    .collect(),
                replace: writing.replace.clone(),
                prepend: writing.prepend.clone(),
                append: writing.append.clone(),
                keep_underscores: writing.keep_underscores,
                escape_brackets: writing.escape_brackets,
            },
            mode: writing.mode,
            extension: writing.extension.clone(),
            recursive: self.recursive,
        }
    }

    fn tagger_config(&self) -> OnnxTaggerConfig {
        let running = &self.running;
        OnnxTaggerConfig {
            size: running.size,
            batch: running.batch.get(),
            channels: running.channels,
            scale: running.scale,
            logits: running.logits.then_some(true),
        }
    }

    fn threads(&self) -> NonZeroUsize {
        let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        self.running.threads.unwrap_or_else(cores)
    }
}

/// Says what the tagger takes and gives, and which rules touch none of its tags.
fn tell_tagger(tagger: &OnnxTagger, wording: &TagWording, printer: &Printer) {
    let (tags, size) = (tagger.tags().tags().len(), tagger.size());
    let planes = match tagger.layout() {
        PixelLayout::Pixels => "",
        PixelLayout::Planes => ", channels as planes",
    };
    let logits = if tagger.gives_logits() {
        "; it gives logits, to which the sigmoid is applied"
    } else {
        ""
    };
    let path = tagger.path().display();
    printer.note(&format!(
        "{path}: {tags} tags, pictures of {size} × {size}{planes}{logits}"
    ));
    for rule in wording.idle_rules(tagger.tags()) {
        printer.note(&format!("\"{rule}\" is none of the tagger's {tags} tags"));
    }
}

fn end(report: &TagReport, printer: &Printer) -> End {
    if report.left > 0 {
        let left = report.left;
        printer.note(&format!(
            "stopped with {left} pictures left; the same command goes on"
        ));
        return End::Stopped;
    }
    if report.failed.is_empty() {
        End::Done
    } else {
        End::Unfit
    }
}

/// How many pictures became what, the most frequent tags, and what is left to a person.
fn summary(report: &TagReport, dry_run: bool) -> String {
    let would = if dry_run { "would get" } else { "got" };
    let counts = [
        (report.written, format!("{would} a caption")),
        (report.unchanged, "had all of it already".to_owned()),
        (
            report.nothing_to_write,
            "have no tag that is likely enough".to_owned(),
        ),
        (report.kept, "kept the caption they had".to_owned()),
        (report.done_before, "were done before".to_owned()),
        (report.failed.len(), "could not be tagged".to_owned()),
    ];
    let told = counts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let mut lines = vec![format!("pictures: {}", or_none(&told.join(", ")))];
    let tags: Vec<String> = report
        .frequent
        .iter()
        .take(FREQUENT)
        .map(|one| format!("{} {}", one.tag, one.pictures))
        .collect();
    if !tags.is_empty() {
        let count = report.frequent.len();
        let most = if count > FREQUENT {
            ", the most frequent"
        } else {
            ""
        };
        lines.push(format!("{count} different tags{most}: {}", tags.join(", ")));
    }
    if !report.without_tags.is_empty() {
        let names = some_names(&report.without_tags);
        lines.push(format!("no tag is likely enough for: {names}"));
    }
    lines.join("\n")
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none tagged" } else { text }
}

fn some_names(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .take(NAMES)
        .map(|path| path.display().to_string())
        .collect();
    match paths.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn patterns(text: &str) -> anyhow::Result<Patterns> {
    Ok(TagPattern::parse_list(text)?.into())
}

/// One of the names that a setting has in config files too.
fn named<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    names: &'static [&'static str],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names)
        .try_map(|name| serde_json::from_value::<T>(serde_json::Value::String(name)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        tag: Tag,
    }

    fn parsed(arguments: &[&str]) -> Tag {
        let all = ["tag", "pictures", "-m", "model.onnx"]
            .iter()
            .chain(arguments);
        Program::try_parse_from(all).unwrap().tag
    }

    #[test]
    fn without_options_the_librarys_defaults_hold() {
        let tag = parsed(&[]);
        assert_eq!(tag.config(), TagConfig::default());
        assert_eq!(tag.tagger_config(), OnnxTaggerConfig::default());
    }

    #[test]
    fn every_name_of_a_setting_is_known_to_the_library() {
        for mode in ["skip", "overwrite", "append", "prepend"] {
            parsed(&["--mode", mode]);
        }
        for scale in ["bytes", "unit", "signed", "imagenet", "clip"] {
            assert!(parsed(&["--scale", scale]).tagger_config().scale.is_some());
        }
        let tag = parsed(&[
            "--channels",
            "rgb",
            "--logits",
            "--exclude",
            "a,b",
            "--exclude",
            "/c,d/",
        ]);
        assert_eq!(tag.tagger_config().channels, ChannelOrder::Rgb);
        assert_eq!(tag.tagger_config().logits, Some(true));
        assert_eq!(tag.config().wording.exclude.len(), 3);
    }
}
