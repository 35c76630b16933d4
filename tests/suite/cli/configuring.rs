//! `ocm config`, from the first line of a configuration to a sound one.

use super::Ocm;

#[test]
fn what_init_prints_is_what_check_takes() {
    let ocm = Ocm::new();
    let printed = ocm.run(&["config", "init"]);
    std::fs::write(ocm.path("isc.yaml"), &printed.out).expect("written");
    let said = ocm.run(&["config", "check", "--strict", "isc.yaml"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.out, "isc.yaml: sound · ImageSetConfiguration · 1 additional image\n");
    assert_eq!(said.err, "");
}

#[test]
fn all_that_is_wrong_is_said_on_stdout_and_ends_with_2() {
    let ocm = Ocm::new();
    let file = "kind: ImageSetConfiguration\napiVersion: mirror.openshift.io/v2alpha1\nmirror:\n  platform:\n    channels:\n      \
                - name: stable-4.16\n        minVerson: 4.16.1\n  samplez: []\n";
    std::fs::write(ocm.path("isc.yaml"), file).expect("written");
    let said = ocm.run(&["config", "check", "isc.yaml"]);
    assert_eq!(said.code, Some(2), "{said:?}");
    let first = "error: isc.yaml:7:9: unknown field \"minVerson\" in mirror.platform.channels[0]\n    |\n  \
                 7 |         minVerson: 4.16.1\n    |         ^^^^^^^^^ did you mean minVersion?\n";
    assert!(said.out.starts_with(first) && said.out.ends_with("isc.yaml: 2 errors\n"), "{}", said.out);
    let json: serde_json::Value = serde_json::from_str(&ocm.run(&["config", "check", "isc.yaml", "-o", "json"]).out).expect("json");
    assert_eq!((json["class"].as_str(), json["files"][0]["findings"][1]["line"].as_u64()), (Some("usage"), Some(8)));
    let none = ocm.run(&["config", "check", "none.yaml"]);
    assert_eq!((none.code, none.out.as_str()), (Some(1), ""), "{none:?}");
}

#[test]
fn the_schema_has_both_documents() {
    let printed = Ocm::new().run(&["config", "schema"]).out;
    let schema: serde_json::Value = serde_json::from_str(&printed).expect("json");
    assert!(schema["else"]["properties"]["mirror"].is_object() && schema["then"]["properties"]["delete"].is_object(), "{printed}");
}
