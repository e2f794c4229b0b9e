use crate::program::run;

#[test]
#[cfg(not(any(feature = "cuda", feature = "wgpu-untuned")))]
fn the_list_says_what_is_missing() {
    use crate::program::{transcript, with_filters};
    with_filters(|| insta::assert_snapshot!("devices", transcript(".".as_ref(), &["devices"])));
}

#[test]
fn a_program_can_read_it() {
    let output = run(".".as_ref(), &["devices", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(list["devices"][0]["name"], "cpu");
}
