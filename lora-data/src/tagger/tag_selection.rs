use serde::{Deserialize, Serialize};

use super::{Category, TagError, TagList};

/// With a maximum cut, characters are not taken below this, as in SmilingWolf's space wd-tagger.
const LOWEST_CHARACTER_CUT: f32 = 0.15;

/// Which of a picture's tags count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TagSelection {
    /// General tags count above this probability.
    pub general_threshold: f32,
    /// Characters count above this probability.
    pub character_threshold: f32,
    /// Whether each picture sets its own thresholds, at the widest gap between its probabilities (Largeron, Moulin and
    /// Géry 2012, "MCut").
    pub mcut: bool,
    /// Whether characters count at all.
    pub characters: bool,
    /// Whether the likeliest rating counts.
    pub rating: bool,
}

impl Default for TagSelection {
    /// The thresholds of SmilingWolf's space wd-tagger.
    fn default() -> Self {
        Self {
            general_threshold: 0.35,
            character_threshold: 0.85,
            mcut: false,
            characters: true,
            rating: false,
        }
    }
}

/// A tag of a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoredTag {
    /// The tag.
    pub name: String,
    /// How likely it is, from 0 to 1.
    pub probability: f32,
    /// Its kind.
    pub category: Category,
}

impl TagSelection {
    /// The tags that count, named as in the list: characters, general tags, the rating; the likeliest of each first.
    pub fn select(&self, tags: &TagList, probabilities: &[f32]) -> Vec<ScoredTag> {
        let scored = |category| {
            let all = tags.tags().iter().zip(probabilities);
            let mut found: Vec<ScoredTag> = all
                .filter(|(tag, _)| tag.category == category)
                .map(|(tag, &probability)| ScoredTag {
                    name: tag.name.clone(),
                    probability,
                    category,
                })
                .collect();
            found.sort_by(|a, b| b.probability.total_cmp(&a.probability));
            found
        };
        let mut selected = Vec::new();
        if self.characters {
            let characters = scored(Category::Character);
            let cut = self
                .cut(&characters)
                .map_or(self.character_threshold, |cut| {
                    cut.max(LOWEST_CHARACTER_CUT)
                });
            selected.extend(above(characters, cut));
        }
        let general = scored(Category::General);
        let cut = self.cut(&general).unwrap_or(self.general_threshold);
        selected.extend(above(general, cut));
        if self.rating {
            selected.extend(scored(Category::Rating).into_iter().next());
        }
        selected
    }

    /// The middle of the widest gap between neighbours, the first of equal ones; `tags` are sorted.
    fn cut(&self, tags: &[ScoredTag]) -> Option<f32> {
        let mut widest: Option<(f32, f32)> = None;
        for pair in tags.windows(2).filter(|_| self.mcut) {
            let (upper, lower) = (pair[0].probability, pair[1].probability);
            if widest.is_none_or(|(gap, _)| upper - lower > gap) {
                widest = Some((upper - lower, f32::midpoint(upper, lower)));
            }
        }
        widest.map(|(_, middle)| middle)
    }

    /// # Errors
    /// When a threshold is no probability.
    pub(super) fn check(&self) -> Result<(), TagError> {
        for (setting, value) in [
            ("general threshold", self.general_threshold),
            ("character threshold", self.character_threshold),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(TagError::Setting {
                    setting,
                    value: value.to_string(),
                    expected: "a probability from 0 to 1",
                });
            }
        }
        Ok(())
    }
}

fn above(tags: Vec<ScoredTag>, cut: f32) -> impl Iterator<Item = ScoredTag> {
    tags.into_iter()
        .take_while(move |tag| tag.probability > cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        "name,category\nsafe,9\nrude,9\nsolo,0\nlong_hair,0\nsky,0\nsmile,0\nmiku,4\nreimu,4\n";
    const PROBABILITIES: [f32; 8] = [0.2, 0.7, 0.36, 0.9, 0.35, 0.1, 0.86, 0.8];

    fn names(selection: &TagSelection, probabilities: &[f32]) -> Vec<String> {
        let list = TagList::parse("tags.csv", LIST.as_bytes()).unwrap();
        let selected = selection.select(&list, probabilities).into_iter();
        selected.map(|tag| tag.name).collect()
    }

    #[test]
    fn characters_then_general_tags_by_probability_above_the_thresholds() {
        let selection = TagSelection::default();
        assert_eq!(
            names(&selection, &PROBABILITIES),
            ["miku", "long_hair", "solo"]
        );
    }

    #[test]
    fn characters_can_be_left_out_and_the_likeliest_rating_taken() {
        let selection = TagSelection {
            characters: false,
            rating: true,
            general_threshold: 0.5,
            ..TagSelection::default()
        };
        assert_eq!(names(&selection, &PROBABILITIES), ["long_hair", "rude"]);
    }

    #[test]
    fn the_maximum_cut_is_at_the_widest_gap() {
        let selection = TagSelection {
            mcut: true,
            ..TagSelection::default()
        };
        // General: 0.9 | 0.36 0.35 0.1. Characters: the cut at 0.83 replaces the threshold.
        assert_eq!(names(&selection, &PROBABILITIES), ["miku", "long_hair"]);
        // Characters of 0.12 and 0.01 are cut at 0.065, which is lifted to 0.15.
        let unlikely = [0.0, 0.0, 0.3, 0.28, 0.05, 0.0, 0.12, 0.01];
        assert_eq!(names(&selection, &unlikely), ["solo", "long_hair"]);
    }

    #[test]
    fn equal_probabilities_keep_the_order_of_the_list() {
        let selection = TagSelection::default();
        let equal = [0.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0];
        assert_eq!(
            names(&selection, &equal),
            ["solo", "long_hair", "sky", "smile"]
        );
    }

    #[test]
    fn thresholds_are_probabilities() {
        for threshold in [-0.1, 1.01, f32::NAN] {
            let selection = TagSelection {
                general_threshold: threshold,
                ..TagSelection::default()
            };
            assert!(selection.check().is_err(), "{threshold}");
        }
        assert!(TagSelection::default().check().is_ok());
    }
}
