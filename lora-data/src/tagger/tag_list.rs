use std::{
    fs, io,
    path::{Path, PathBuf},
};

use csv::{ReaderBuilder, StringRecord};
use serde::{Deserialize, Serialize};

use super::TagListError;

/// Kinds of tags that are not thresholded as the others, by Danbooru's number; all other numbers are general.
const CHARACTER: u8 = 4;
const RATING: u8 = 9;

/// What kind of thing a tag names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// What is to be seen, and whatever else is neither of the other two.
    #[default]
    General,
    /// Somebody with a name.
    Character,
    /// How decent the picture is: the likeliest of these is its rating.
    Rating,
}

/// A tag that a tagger knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name as in the list, such as `long_hair`.
    pub name: String,
    /// Its kind.
    pub category: Category,
}

/// The tags of a tagger, in the order of its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagList {
    path: PathBuf,
    tags: Vec<Tag>,
}

/// Where a row has what.
struct Columns {
    name: usize,
    category: Option<usize>,
}

impl TagList {
    /// Reads the list that comes with a tagger: `tag_id,name,category,count` as WD14's `selected_tags.csv`, any other
    /// CSV with a column `name` (or `tag`) and perhaps `category`, or one tag a line.
    ///
    /// A category is Danbooru's number (0 general, 4 character, 9 rating) or its name.
    ///
    /// # Errors
    /// When the file cannot be read or a row, which is named by its line, is malformed.
    pub fn read(path: &Path) -> Result<Self, TagListError> {
        let bytes = fs::read(path).map_err(|cause| TagListError::Read {
            path: path.into(),
            cause,
        })?;
        Self::parse(path, &bytes)
    }

    /// Reads a list from memory; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(path: impl Into<PathBuf>, bytes: &[u8]) -> Result<Self, TagListError> {
        let path = path.into();
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes);
        let mut columns = None;
        let mut tags = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| unreadable(&path, &error))?;
            if columns.is_none() {
                let (found, is_header) = columns_of(&path, &record)?;
                columns = Some(found);
                if is_header {
                    continue;
                }
            }
            if let Some(columns) = &columns {
                let line = record.position().map_or(0, csv::Position::line);
                let tag = columns.tag(&record).map_err(|reason| TagListError::Row {
                    path: path.clone(),
                    line,
                    reason,
                })?;
                tags.push(tag);
            }
        }
        if tags.is_empty() {
            return Err(TagListError::Empty { path });
        }
        Ok(Self { path, tags })
    }

    /// The file it came from, or the name it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tags; at least one.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }
}

impl Columns {
    fn tag(&self, record: &StringRecord) -> Result<Tag, String> {
        let name = record.get(self.name).unwrap_or_default().trim();
        if name.is_empty() {
            return Err("has no name".to_owned());
        }
        let category = match self.category {
            None => Category::General,
            Some(column) => category(record.get(column).unwrap_or_default().trim())?,
        };
        Ok(Tag {
            name: name.to_owned(),
            category,
        })
    }
}

/// The columns, and whether the first record names them.
fn columns_of(path: &Path, first: &StringRecord) -> Result<(Columns, bool), TagListError> {
    let position = |names: &[&str]| {
        first.iter().position(|column| {
            let column = column.trim();
            names.iter().any(|name| name.eq_ignore_ascii_case(column))
        })
    };
    if let Some(name) = position(&["name", "tag"]) {
        let category = position(&["category", "type"]);
        return Ok((Columns { name, category }, true));
    }
    if first.len() == 1 {
        let columns = Columns {
            name: 0,
            category: None,
        };
        return Ok((columns, false));
    }
    Err(TagListError::NoNames {
        path: path.into(),
        columns: first.iter().map(String::from).collect(),
    })
}

fn category(text: &str) -> Result<Category, String> {
    match text.to_ascii_lowercase().as_str() {
        "character" => return Ok(Category::Character),
        "rating" => return Ok(Category::Rating),
        "general" | "artist" | "copyright" | "species" | "meta" | "model" | "lore" => {
            return Ok(Category::General);
        }
        _ => {}
    }
    match text.parse::<u8>() {
        Ok(CHARACTER) => Ok(Category::Character),
        Ok(RATING) => Ok(Category::Rating),
        Ok(_) => Ok(Category::General),
        Err(_) => Err(format!(
            "\"{text}\" is no category; expected 0 (general), 4 (character) or 9 (rating)"
        )),
    }
}

fn unreadable(path: &Path, error: &csv::Error) -> TagListError {
    match (error.kind(), error.position()) {
        (csv::ErrorKind::Utf8 { .. }, Some(position)) => TagListError::Row {
            path: path.into(),
            line: position.line(),
            reason: "is not UTF-8".to_owned(),
        },
        _ => TagListError::Read {
            path: path.into(),
            cause: io::Error::other(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, Category)>, String> {
        let list =
            TagList::parse("tags.csv", text.as_bytes()).map_err(|error| error.to_string())?;
        let tags = list.tags.into_iter();
        Ok(tags.map(|tag| (tag.name, tag.category)).collect())
    }

    #[test]
    fn the_list_of_wd14_taggers() {
        let text = "tag_id,name,category,count\n9999999,general,9,1589178\n470575,1girl,0,5113288\n\
                    385430,hatsune_miku,4,89677\n448882,|_|,0,19161\n";
        let expected = [
            ("general", Category::Rating),
            ("1girl", Category::General),
            ("hatsune_miku", Category::Character),
            ("|_|", Category::General),
        ];
        assert_eq!(
            parsed(text).unwrap(),
            expected.map(|(name, category)| (name.to_owned(), category))
        );
    }

    #[test]
    fn columns_are_found_by_name_and_other_categories_are_general() {
        let text =
            "\u{feff}category,Name\r\nCharacter,\"a, b\"\r\n3,some_series\r\nmeta,highres\r\n";
        let expected = [
            ("a, b", Category::Character),
            ("some_series", Category::General),
            ("highres", Category::General),
        ];
        assert_eq!(
            parsed(text).unwrap(),
            expected.map(|(name, category)| (name.to_owned(), category))
        );
    }

    #[test]
    fn a_plain_list_needs_no_header() {
        for text in ["name\ncat\ndog\n", "cat\ndog\n"] {
            let expected = ["cat", "dog"].map(|name| (name.to_owned(), Category::General));
            assert_eq!(parsed(text).unwrap(), expected, "{text:?}");
        }
    }

    #[test]
    fn malformed_lists_are_named_with_their_line() {
        for (text, expected) in [
            ("", "tags.csv: holds no tags"),
            ("tag_id,name,category\n", "tags.csv: holds no tags"),
            (
                "id,kind\n1,2\n",
                "tags.csv: has no column \"name\", only id, kind; expected tag_id,name,category,count or one tag a line",
            ),
            (
                "tag_id,name,category\n1,cat,0\n2,,0\n",
                "tags.csv: line 3: has no name",
            ),
            (
                "tag_id,name,category\n1,cat\n",
                "tags.csv: line 2: \"\" is no category; expected 0 (general), 4 (character) or 9 (rating)",
            ),
        ] {
            assert_eq!(parsed(text).unwrap_err(), expected, "{text:?}");
        }
        let error = TagList::parse("tags.csv", b"name\ncat\n\xff\n").unwrap_err();
        assert_eq!(error.to_string(), "tags.csv: line 3: is not UTF-8");
    }
}
