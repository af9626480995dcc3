//! The three layers and their merge. The default's type decides how text from the environment is read, so that a
//! numeric client id stays text and `8` stays a number.

use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Serialized, Toml};
use figment::value::{Dict, Value};
use serde::de::DeserializeOwned;

use super::Error;

const PREFIX: &str = "SOCIALIZIOZ__";

/// Defaults, what is derived from other keys, and what somebody set: later ones win.
#[derive(Clone)]
pub struct Layers {
    defaults: Figment,
    derived: Figment,
    set: Figment,
}

impl Layers {
    /// Reads defaults, an optional file and the process' environment.
    pub fn load(defaults: &str, file: Option<&Path>) -> Result<Self, Error> {
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::read(defaults, file, variables)
    }

    /// As [`Layers::load`], with the environment given.
    pub fn read(
        defaults: &str,
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let defaults = Figment::from(Toml::string(defaults));
        let mut set = Figment::new();
        if let Some(path) = file {
            if !path.is_file() {
                return Err(Error::new(
                    "--config",
                    format!("{} cannot be read", path.display()),
                    "name a readable TOML file",
                ));
            }
            set = set.merge(Toml::file_exact(path));
        }
        for (name, text) in variables {
            let Some(path) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let key = path.to_lowercase().replace("__", ".");
            let value = typed(&key, text, defaults.find_value(&key).ok().as_ref())?;
            set = set.merge(Serialized::default(&key, value));
        }
        Ok(Self {
            defaults,
            derived: Figment::new(),
            set,
        })
    }

    /// Gives a key another default.
    pub fn derive(&mut self, key: &str, value: impl serde::Serialize) {
        self.derived = std::mem::take(&mut self.derived).merge(Serialized::default(key, value));
    }

    /// One key, before everything else is read.
    pub fn peek<T: DeserializeOwned>(&self, key: &str) -> Result<T, Error> {
        self.merged()
            .extract_inner(key)
            .map_err(|error| describe(error.into_iter().next()))
    }

    /// The whole configuration.
    pub fn extract<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.merged()
            .extract()
            .map_err(|error| describe(error.into_iter().next()))
    }

    fn merged(&self) -> Figment {
        self.defaults.clone().merge(&self.derived).merge(&self.set)
    }
}

fn typed(key: &str, text: String, default: Option<&Value>) -> Result<Value, Error> {
    let wrong = |expected: &str| Error::new(key, format!("is not {expected}"), format!("set it to {expected}"));
    Ok(match default {
        Some(Value::Bool(..)) => Value::from(text.parse::<bool>().map_err(|_| wrong("true or false"))?),
        Some(Value::Num(..)) => match text.parse::<i64>() {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(text.parse::<f64>().map_err(|_| wrong("a number"))?),
        },
        Some(Value::Array(..)) => list(&text).map_or_else(|| Value::from(split(&text)), Value::from),
        Some(Value::Dict(..)) => return Err(wrong("a section; name one of its keys")),
        // A key without a default, such as a plan's maximum: a number when it looks like one.
        None => text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from),
        _ => Value::from(text),
    })
}

/// `["a", "b"]`, as in TOML.
fn list(text: &str) -> Option<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return None;
    }
    let parsed: Dict = Figment::from(Toml::string(&format!("v = {text}"))).extract().ok()?;
    parsed
        .get("v")?
        .as_array()?
        .iter()
        .map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// `a, b`
fn split(text: &str) -> Vec<String> {
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

/// One line that names the key. Values are not repeated: they may be secrets.
fn describe(error: Option<figment::Error>) -> Error {
    use figment::error::Kind;
    let Some(error) = error else {
        return Error::new("configuration", "cannot be read", "check the file");
    };
    let mut key = error.path.join(".");
    let (problem, remedy) = match &error.kind {
        Kind::UnknownField(field, known) => {
            if error.path.last().is_none_or(|last| last != field) {
                key = if key.is_empty() {
                    field.clone()
                } else {
                    format!("{key}.{field}")
                };
            }
            (
                "is not a known key".to_owned(),
                format!("known here: {}", known.join(", ")),
            )
        }
        Kind::MissingField(field) => {
            key = if key.is_empty() {
                field.to_string()
            } else {
                format!("{key}.{field}")
            };
            ("is missing".to_owned(), "set it".to_owned())
        }
        Kind::InvalidType(_, expected) => (
            format!("has the wrong type, expected {expected}"),
            "see deploy/default.toml".to_owned(),
        ),
        Kind::InvalidValue(_, expected) => (
            format!("is not usable, expected {expected}"),
            "see deploy/default.toml".to_owned(),
        ),
        Kind::UnknownVariant(_, known) => (
            "is not one of the choices".to_owned(),
            format!("use one of: {}", known.join(", ")),
        ),
        Kind::Message(text) => (
            format!("is not usable ({})", text.lines().next().unwrap_or_default()),
            "see deploy/default.toml".to_owned(),
        ),
        _ => ("cannot be read".to_owned(), "see deploy/default.toml".to_owned()),
    };
    if key.is_empty() {
        "configuration".clone_into(&mut key);
    }
    Error::new(key, problem, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::time::Duration;

    const DEFAULTS: &str = r#"
        [tokens]
        attempts = 3
        interval = "1h"
        names = ["a"]
        id = "x"
        on = true
    "#;

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Root {
        tokens: Tokens,
    }

    #[derive(Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Tokens {
        attempts: u32,
        #[serde(with = "crate::wire::human")]
        interval: Duration,
        names: Vec<String>,
        id: String,
        on: bool,
    }

    fn with(variables: &[(&str, &str)]) -> Result<Root, Error> {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Layers::read(DEFAULTS, None, variables)?.extract()
    }

    #[test]
    fn the_environment_is_read_by_the_type_of_the_default() {
        let root = with(&[
            ("SOCIALIZIOZ__TOKENS__ATTEMPTS", "5"),
            ("SOCIALIZIOZ__TOKENS__INTERVAL", "7d"),
            ("SOCIALIZIOZ__TOKENS__NAMES", "b, c"),
            ("SOCIALIZIOZ__TOKENS__ID", "700000000000001"),
            ("SOCIALIZIOZ__TOKENS__ON", "false"),
        ])
        .unwrap();
        assert_eq!(root.tokens.attempts, 5);
        assert_eq!(root.tokens.interval, Duration::from_secs(7 * 86_400));
        assert_eq!(root.tokens.names, ["b", "c"]);
        assert_eq!(root.tokens.id, "700000000000001");
        assert!(!root.tokens.on);
    }

    #[test]
    fn what_is_derived_gives_way_to_what_is_set() {
        let set = [("SOCIALIZIOZ__TOKENS__ID".to_owned(), "mine".to_owned())];
        for (variables, id) in [(&set[..], "mine"), (&[], "derived")] {
            let mut layers = Layers::read(DEFAULTS, None, variables.iter().cloned()).unwrap();
            layers.derive("tokens.id", "derived");
            assert_eq!(layers.extract::<Root>().unwrap().tokens.id, id);
            assert_eq!(layers.peek::<String>("tokens.id").unwrap(), id);
        }
    }

    #[test]
    fn every_mistake_names_its_key() {
        for (name, value, key) in [
            ("SOCIALIZIOZ__TOKENS__ATTEMPTS", "many", "tokens.attempts"),
            ("SOCIALIZIOZ__TOKENS__INTERVAL", "soon", "tokens.interval"),
            ("SOCIALIZIOZ__TOKENS__ATTEMTPS", "3", "tokens.attemtps"),
            ("SOCIALIZIOZ__TOKEN__ATTEMPTS", "3", "token"),
            ("SOCIALIZIOZ__TOKENS", "3", "tokens"),
        ] {
            let error = with(&[(name, value)]).unwrap_err();
            assert!(error.key.starts_with(key), "{name}: {error}");
            assert!(!error.to_string().contains('\n'));
        }
    }
}
