use crate::program::{GOLDEN, LOCON, run, transcript, with_filters};

#[test]
fn a_file_tells_what_is_in_it() {
    with_filters(|| {
        let told = transcript(".".as_ref(), &["inspect", LOCON]);
        insta::assert_snapshot!("inspect", told);
    });
}

#[test]
fn a_base_model_tells_its_family_and_networks() {
    with_filters(|| {
        let told = transcript(".".as_ref(), &["inspect", &format!("{GOLDEN}/tiny-sdxl")]);
        insta::assert_snapshot!("inspect_base", told);
    });
}

#[test]
fn several_files_are_as_many_documents() {
    let (base, peft) = (
        format!("{GOLDEN}/tiny-sd15"),
        format!("{GOLDEN}/lora/tiny-sdxl-lora-peft.safetensors"),
    );
    let output = run(".".as_ref(), &["inspect", LOCON, &base, &peft, "--json"]);
    let documents = serde_json::Deserializer::from_slice(&output.stdout)
        .into_iter::<serde_json::Value>()
        .collect::<Result<Vec<_>, _>>()
        .expect("JSON");
    let told: Vec<_> = documents
        .iter()
        .map(|document| (&document["kind"], &document["family"], &document["layout"]))
        .collect();
    let expected = [
        ("lora", "sd1", "kohya"),
        ("base", "sd1", "diffusers folder"),
        ("lora", "sdxl", "PEFT"),
    ];
    assert_eq!(format!("{told:?}"), {
        let strings = expected.map(|(kind, family, layout)| {
            (
                serde_json::Value::from(kind),
                serde_json::Value::from(family),
                serde_json::Value::from(layout),
            )
        });
        format!("{strings:?}")
    });
}

#[test]
fn a_program_can_read_it() {
    let output = run(".".as_ref(), &["inspect", LOCON, "--json"]);
    let file: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(file["parameters"].as_u64().is_some_and(|count| count > 0));
    assert!(
        file["parts"]
            .as_array()
            .is_some_and(|parts| parts.len() == 3)
    );
    assert!(
        file["hashes"]
            .as_array()
            .is_some_and(|hashes| hashes.len() == 2)
    );
}
