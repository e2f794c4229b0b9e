use crate::program::{LOCON, run, transcript, with_filters};

#[test]
fn a_file_tells_what_is_in_it() {
    with_filters(|| {
        let told = transcript(".".as_ref(), &["inspect", LOCON]);
        insta::assert_snapshot!("inspect", told);
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
