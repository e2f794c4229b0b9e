use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Deserialize;

use super::BoxError;
use crate::faces::face_set::CropFrame;

/// A row of a file of boxes: a part of a picture, in pixels of the picture as it is shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

/// Parts of pictures that were chosen by hand, by the name that their row gives: a file name, or a path below the folder.
#[derive(Debug, Default)]
pub(super) struct Boxes(BTreeMap<String, CropFrame>);

impl Boxes {
    /// Reads CSV with the header `name,x,y,width,height`, or a JSON object a line with these keys.
    ///
    /// # Errors
    /// When the file cannot be read, or with all rows that cannot be followed.
    pub(super) fn read(path: &Path) -> Result<Self, BoxError> {
        let text = fs::read_to_string(path).map_err(|cause| BoxError::Read {
            path: path.into(),
            cause,
        })?;
        Self::parse(&text).map_err(|rows| BoxError::Rows {
            path: path.into(),
            rows,
        })
    }

    fn parse(text: &str) -> Result<Self, Vec<String>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let rows = if text.trim_start().starts_with('{') {
            json_rows(text)
        } else {
            csv_rows(text)?
        };
        let mut boxes = Self::default();
        let mut wrong = Vec::new();
        for (line, row) in rows {
            if let Err(reason) = row.and_then(|row| boxes.add(row)) {
                wrong.push(format!("line {line}: {reason}"));
            }
        }
        if boxes.0.is_empty() && wrong.is_empty() {
            wrong.push("holds no boxes; expected name,x,y,width,height".to_owned());
        }
        if wrong.is_empty() {
            Ok(boxes)
        } else {
            Err(wrong)
        }
    }

    fn add(&mut self, row: Row) -> Result<(), String> {
        let name = row.name.replace('\\', "/");
        let name = name.trim_start_matches("./").to_owned();
        if name.is_empty() {
            return Err("the name is empty".to_owned());
        }
        if row.width == 0 || row.height == 0 {
            return Err(format!(
                "{name}: the box has no pixels; width and height are at least 1"
            ));
        }
        let frame = CropFrame {
            left: row.x,
            top: row.y,
            width: row.width,
            height: row.height,
        };
        if self.0.insert(name.clone(), frame).is_some() {
            return Err(format!("{name}: has a box already"));
        }
        Ok(())
    }

    /// The box of a picture: by its path below the folder, else by its file name.
    pub(super) fn of(&self, picture: &str) -> Option<CropFrame> {
        let file_name = picture.rsplit('/').next().unwrap_or(picture);
        self.0
            .get(picture)
            .or_else(|| self.0.get(file_name))
            .copied()
    }

    /// Names that none of the pictures has.
    pub(super) fn unmatched<'a>(&self, pictures: impl Iterator<Item = &'a str>) -> Vec<String> {
        let mut known = BTreeSet::new();
        for picture in pictures {
            known.insert(picture);
            known.extend(picture.rsplit('/').next());
        }
        let names = self.0.keys();
        names
            .filter(|name| !known.contains(name.as_str()))
            .cloned()
            .collect()
    }
}

/// Rows with their lines, counted from 1.
type Rows = Vec<(usize, Result<Row, String>)>;

fn json_rows(text: &str) -> Rows {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let row = serde_json::from_str(line).map_err(|error| error.to_string());
            (index + 1, row)
        })
        .collect()
}

/// # Errors
/// When the header is another.
fn csv_rows(text: &str) -> Result<Rows, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| vec![error.to_string()])?;
    let expected = ["name", "x", "y", "width", "height"];
    if headers.len() != expected.len()
        || expected
            .iter()
            .any(|one| !headers.iter().any(|header| header == *one))
    {
        let found: Vec<&str> = headers.iter().collect();
        return Err(vec![format!(
            "line 1: the columns are {}; expected name,x,y,width,height",
            found.join(",")
        )]);
    }
    let headers = headers.clone();
    let rows = reader.records().map(|record| match record {
        Ok(record) => {
            let line = record.position().map_or(0, csv::Position::line) as usize;
            let row = record.deserialize(Some(&headers));
            (line, row.map_err(|error| reason(&error)))
        }
        Err(error) => {
            let line = error.position().map_or(0, csv::Position::line) as usize;
            (line, Err(reason(&error)))
        }
    });
    Ok(rows.collect())
}

/// What is wrong, without the line, which stands before it.
fn reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => {
            let columns = ["name", "x", "y", "width", "height"];
            let column = err.field().and_then(|field| columns.get(field as usize));
            let column = column.map_or(String::new(), |column| format!("{column}: "));
            format!("{column}{}", err.kind())
        }
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => format!("has {len} columns; expected {expected_len}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(left: u32, top: u32, width: u32, height: u32) -> CropFrame {
        CropFrame {
            left,
            top,
            width,
            height,
        }
    }

    #[test]
    fn rows_are_read_from_csv_and_from_lines_of_json() {
        let csv =
            "\u{feff}name, x, y, width, height\r\n\"a, b.jpg\", 1, 2, 3, 4\n10_x/狐.png,5,6,7,8\n";
        let json = "{\"name\": \"a, b.jpg\", \"x\": 1, \"y\": 2, \"width\": 3, \"height\": 4}\n\n\
                    {\"name\": \"10_x\\\\狐.png\", \"x\": 5, \"y\": 6, \"width\": 7, \"height\": 8}\n";
        for text in [csv, json] {
            let boxes = Boxes::parse(text).unwrap();
            assert_eq!(boxes.of("sub/a, b.jpg"), Some(frame(1, 2, 3, 4)));
            assert_eq!(boxes.of("10_x/狐.png"), Some(frame(5, 6, 7, 8)));
            assert_eq!(boxes.of("狐.png"), None);
            let pictures = ["sub/a, b.jpg", "10_y/狐.png"];
            assert_eq!(boxes.unmatched(pictures.into_iter()), ["10_x/狐.png"]);
        }
    }

    #[test]
    fn every_bad_row_is_told_with_its_line() {
        let wrong = Boxes::parse(
            "name,x,y,width,height\na.jpg,1,2,3,4\nb.jpg,-1,2,3,4\nc.jpg,1,2,0,4\na.jpg,1,1,1,1\nd.jpg,1,2,3\n",
        )
        .unwrap_err();
        let starts = [
            "line 3: x: ",
            "line 4: c.jpg: ",
            "line 5: a.jpg: has a box",
            "line 6: has 4 columns",
        ];
        assert_eq!(wrong.len(), starts.len(), "{wrong:?}");
        for (told, start) in wrong.iter().zip(starts) {
            assert!(told.starts_with(start), "{told}");
        }
        let wrong =
            Boxes::parse("{\"name\": \"a\", \"x\": 1, \"y\": 1, \"width\": 1}\n{}\n").unwrap_err();
        assert!(
            wrong[0].starts_with("line 1: missing field `height`")
                && wrong[1].starts_with("line 2: "),
            "{wrong:?}"
        );
        for (text, told) in [
            (
                "name,left,top,width,height\n",
                "line 1: the columns are name,left,top",
            ),
            ("", "expected name,x,y"),
            ("name,x,y,width,height\n", "holds no boxes"),
        ] {
            let wrong = Boxes::parse(text).unwrap_err();
            assert!(wrong[0].contains(told), "{wrong:?}");
        }
    }
}
