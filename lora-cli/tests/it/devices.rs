use crate::program::{run, transcript, with_filters};

#[test]
#[cfg(not(any(feature = "cuda", feature = "vulkan", feature = "wgpu")))]
fn the_list_says_what_is_missing() {
    with_filters(|| insta::assert_snapshot!("devices", transcript(".".as_ref(), &["devices"])));
}

#[test]
fn a_program_can_read_it() {
    let output = run(".".as_ref(), &["devices", "--json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(list["devices"][0]["name"], "cpu");
}
