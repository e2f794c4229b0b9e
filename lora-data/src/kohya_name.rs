/// What kohya's folder names say: `10_sks dog` is 10 repeats of "sks dog".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KohyaName {
    /// How often an epoch shows each picture of the folder; 0 is a mistake that the caller reports.
    pub repeats: u32,
    /// The caption of pictures that have none; absent in a name such as `10_`.
    pub class_tokens: Option<String>,
}

impl KohyaName {
    /// Reads a folder's name, or tells by `None` that it is not of the form `N_class`.
    ///
    /// Unlike kohya, a bare number is not taken for repeats: folders named `512` are common.
    pub fn parse(name: &str) -> Option<Self> {
        let (number, words) = name.split_once('_')?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let words = words.trim();
        Some(Self {
            repeats: number.parse().ok()?,
            class_tokens: (!words.is_empty()).then(|| words.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_underscore_words() {
        for (name, repeats, class_tokens) in [
            ("10_sks dog", 10, Some("sks dog")),
            ("1_a_b", 1, Some("a_b")),
            ("007_x", 7, Some("x")),
            ("5_", 5, None),
            ("0_zero", 0, Some("zero")),
        ] {
            let class_tokens = class_tokens.map(String::from);
            assert_eq!(
                KohyaName::parse(name),
                Some(KohyaName {
                    repeats,
                    class_tokens
                }),
                "{name}"
            );
        }
    }

    #[test]
    fn other_names_say_nothing() {
        for name in [
            "512",
            "style",
            "sks_dog",
            "_dog",
            "+3_dog",
            "-3_dog",
            "1.5_dog",
            "99999999999_dog",
            "",
        ] {
            assert_eq!(KohyaName::parse(name), None, "{name}");
        }
    }
}
