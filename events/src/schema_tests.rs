//! The schemas against the files that consumers have, and against every shape
//! ever stored.

use crate::schema::{EventSchema, of_events};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::PathBuf};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names_in(name: &str) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder(name)).unwrap();
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

fn golden(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder("golden").join(name)).unwrap()).unwrap()
}

/// The schemas of a sample's tag: one tag may be of several kinds.
fn of_tag(sample: &Value) -> Vec<EventSchema> {
    let tag = sample["event"].as_object().unwrap().keys().next().unwrap();
    of_events().into_iter().filter(|schema| schema.tag == *tag).collect()
}

#[test]
fn the_files_are_what_the_types_say() {
    let schemas = of_events();
    let mut expected: BTreeSet<_> = schemas.iter().map(|schema| format!("{}.json", schema.name())).collect();
    for schema in &schemas {
        let path = folder("schema").join(format!("{}.json", schema.name()));
        let derived = format!("{:#}\n", schema.document());
        let file = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(file, derived, "{} holds something else", path.display());
    }
    expected.insert("released.txt".to_owned());
    assert_eq!(names_in("schema"), expected);
}

#[test]
fn every_shape_ever_stored_is_as_its_schema_says() {
    let mut seen = BTreeSet::new();
    for name in names_in("golden") {
        let sample = golden(&name);
        let fitting = of_tag(&sample).into_iter().filter(|schema| jsonschema::is_valid(&schema.stored, &sample));
        let fitting: Vec<_> = fitting.map(|schema| schema.name()).collect();
        assert_eq!(fitting.len(), 1, "{name} is {fitting:?}");
        seen.extend(fitting);
    }
    assert_eq!(seen, of_events().iter().map(EventSchema::name).collect());
}

#[test]
fn what_is_no_fact_is_not_as_any_schema_says() {
    for name in names_in("golden") {
        let sample = golden(&name);
        let (mut unknown_field, mut no_time, mut unknown_envelope) = (sample.clone(), sample.clone(), sample.clone());
        unknown_field["event"].as_object_mut().unwrap().values_mut().for_each(|data| data["extra"] = json!(1));
        no_time.as_object_mut().unwrap().remove("at");
        unknown_envelope["extra"] = json!(1);
        for broken in [unknown_field, no_time, unknown_envelope] {
            let is_taken = of_tag(&sample).iter().any(|schema| jsonschema::is_valid(&schema.stored, &broken));
            assert!(!is_taken, "{broken}");
        }
    }
}
