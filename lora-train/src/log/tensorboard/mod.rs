//! TensorBoard's event file: records of the protocol buffer `tensorboard.Event`, each with its length and checksums.

mod crc32c;
mod message;
mod record;

use std::{fs, io};

use super::{LogFormat, scalar::scalars};
use crate::Event;
use message::Message;

/// The file, seen from the run folder. TensorBoard knows event files by `tfevents` in their names.
pub(super) const FILE: &str = "tensorboard/events.out.tfevents.0.lora";

/// Three channels, in TensorBoard's count of colour spaces.
const RGB: u64 = 3;

/// What TensorBoard looks for in the first record.
const VERSION: &str = "brain.Event:2";

/// The numbers of reports and held-out measures as scalars, and previews as images.
#[derive(Debug)]
pub(super) struct TensorBoard {
    /// Whether previews are in the file.
    pub(super) previews: bool,
}

impl LogFormat for TensorBoard {
    fn file(&self) -> &'static str {
        FILE
    }

    fn head(&self, time: f64) -> Vec<u8> {
        let mut event = Message::default();
        event.double(1, time).text(3, VERSION);
        record::framed(&event.into_bytes())
    }

    fn entry(&self, event: &Event<'_>, time: f64) -> io::Result<Vec<u8>> {
        let summary = match *event {
            Event::Sampled {
                step,
                prompt,
                image,
            } if self.previews => Some((step, picture(prompt, &fs::read(image)?))),
            _ => scalars(event).map(|(step, scalars)| {
                let mut summary = Message::default();
                for scalar in scalars {
                    if let (Some(tag), Some(number)) = (scalar.tag, scalar.value) {
                        let mut value = Message::default();
                        value.text(1, tag).float(2, number as f32);
                        summary.message(1, value);
                    }
                }
                (step, summary)
            }),
        };
        let Some((step, summary)) = summary else {
            return Ok(Vec::new());
        };
        let mut event = Message::default();
        event.double(1, time).number(2, step).message(5, summary);
        Ok(record::framed(&event.into_bytes()))
    }
}

/// A `Summary` of one picture, `png`, under the number of its prompt.
fn picture(prompt: usize, png: &[u8]) -> Message {
    // A PNG file's size stands in its first chunk, behind the signature and the chunk's length and name.
    let extent = |at: usize| {
        let bytes = png.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_be_bytes)
    };
    let mut image = Message::default();
    image
        .number(1, extent(20).into())
        .number(2, extent(16).into())
        .number(3, RGB)
        .bytes(4, png);
    let (mut value, mut summary) = (Message::default(), Message::default());
    value
        .text(1, &format!("preview/{prompt}"))
        .message(4, image);
    summary.message(1, value);
    summary
}

#[cfg(test)]
mod tests {
    use super::{
        message::tests::{Field, fields},
        record::tests::records,
        *,
    };
    use crate::event::tests::report;

    const LOG: TensorBoard = TensorBoard { previews: true };

    /// Step, tags and values of the scalars of an event.
    fn scalars_of(bytes: &[u8]) -> (u64, Vec<(String, f32)>) {
        let [event] = &records(bytes)[..] else {
            panic!("one record");
        };
        let event = fields(event);
        let Field::Number(step) = event[&2][0] else {
            panic!("a step");
        };
        let Field::Bytes(summary) = &event[&5][0] else {
            panic!("a summary");
        };
        let summary = fields(summary);
        let values = summary[&1].iter().map(|value| {
            let Field::Bytes(value) = value else {
                panic!("a value");
            };
            let value = fields(value);
            match (&value[&1][0], &value[&2][0]) {
                (Field::Bytes(tag), Field::Float(number)) => {
                    (String::from_utf8(tag.clone()).expect("text"), *number)
                }
                other => panic!("{other:?}"),
            }
        });
        (step, values.collect())
    }

    #[test]
    fn the_file_begins_as_tensorboard_expects() {
        let head = records(&LOG.head(1.5));
        let event = fields(&head[0]);
        assert_eq!(event[&1], [Field::Double(1.5)]);
        assert_eq!(event[&3], [Field::Bytes(VERSION.into())]);
    }

    #[test]
    fn reports_and_measures_become_scalars() {
        let bytes = LOG.entry(&Event::Stepped(&report()), 2.0).expect("bytes");
        let (step, scalars) = scalars_of(&bytes);
        assert_eq!(step, 10);
        let value = |tag: &str| {
            let found = scalars.iter().find(|(name, _)| name == tag);
            found.map(|(_, number)| *number)
        };
        for (tag, number) in [
            ("loss/current", Some(0.1)),
            ("loss/smooth", Some(0.12)),
            ("loss/balanced", Some(0.3)),
            ("loss/heldout", None),
            ("loss_by_timestep/000-099", Some(0.5)),
            ("loss_by_timestep/100-199", None),
            ("loss_by_timestep/900-999", Some(0.1)),
            ("lr/unet", Some(1e-3)),
            ("grad_norm", Some(1.0)),
            ("speed/steps_per_second", Some(2.0)),
            ("speed/pictures_per_second", Some(8.0)),
            ("memory/resident_bytes", Some(1_048_576.0)),
        ] {
            assert_eq!(value(tag), number, "{tag}");
        }
        let measured = Event::Measured {
            step: 7,
            heldout_loss: 0.25,
        };
        let bytes = LOG.entry(&measured, 2.0).expect("bytes");
        assert_eq!(
            scalars_of(&bytes),
            (7, vec![("loss/heldout".to_owned(), 0.25)])
        );
    }

    #[test]
    fn previews_become_images_unless_that_is_switched_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("preview.png");
        image::RgbImage::new(6, 4).save(&path).expect("a picture");
        let sampled = Event::Sampled {
            step: 50,
            prompt: 1,
            image: &path,
        };
        let bytes = LOG.entry(&sampled, 2.0).expect("bytes");
        let inside = |bytes: &[u8], number: u64| match &fields(bytes)[&number][0] {
            Field::Bytes(bytes) => bytes.clone(),
            other => panic!("{other:?}"),
        };
        let value = inside(&inside(&records(&bytes)[0], 5), 1);
        assert_eq!(inside(&value, 1), b"preview/1");
        let image = fields(&inside(&value, 4));
        let sizes = [1, 2, 3].map(|number| image[&number][0].clone());
        assert_eq!(sizes, [4, 6, 3].map(Field::Number));
        assert_eq!(image[&4], [Field::Bytes(fs::read(&path).expect("there"))]);

        let off = TensorBoard { previews: false };
        assert!(off.entry(&sampled, 2.0).expect("nothing").is_empty());
        fs::remove_file(&path).expect("removed");
        LOG.entry(&sampled, 2.0).expect_err("no picture");
    }
}
