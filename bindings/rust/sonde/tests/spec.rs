//! Builders of specs: they print what is meant, and together they reach every key of every method.
//!
//! SPDX-License-Identifier: MIT

mod every_key;

use sonde::spec::{word, Ivf, Pq, Spec};
use sonde::{check_spec, methods, Index, Metric};
use std::collections::BTreeSet;

#[test]
fn builders_print_specs() {
    let spec: Spec = Ivf::new().nlist(512).code(Pq::new().m(48).pad(true)).metric(Metric::Cosine).into();
    assert_eq!(spec.as_str(), "ivf(nlist=512, code=pq(m=48, pad=yes), metric=cosine)");
    let twice = Ivf::new().nlist(1).residual(word::Residual::Yes).refine("f16").nlist_auto();
    assert_eq!(twice.to_string(), "ivf(nlist=auto, residual=yes, refine=f16)");
    let index = Index::new(Ivf::new().nlist(8), 4).unwrap();
    assert_eq!(index.spec(), check_spec("index", "ivf(nlist=8)").unwrap().as_str());
}

#[test]
fn each_key_prints_as_it_should() {
    for (_, _, _, built, text, _) in every_key::rows() {
        assert_eq!(built.as_str(), text);
    }
}

#[test]
fn a_key_that_says_the_default_changes_nothing() {
    for (noun, method, key, built, text, usual) in every_key::rows() {
        if usual {
            let full = check_spec(noun, built).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(full, check_spec(noun, method).unwrap(), "{noun} {text}: {key}");
        }
    }
}

#[test]
fn no_method_and_no_key_of_the_library_is_out_of_reach() {
    let reached: BTreeSet<_> = every_key::rows().iter().map(|row| (row.0, row.1, row.2)).collect();
    let mut known = BTreeSet::new();
    for method in methods().unwrap() {
        known.insert((method.noun, method.name, ""));
        known.extend(method.keys.iter().map(|key| (method.noun, method.name, key.name)));
    }
    assert!(known.len() > 30);
    assert_eq!(known.difference(&reached).collect::<Vec<_>>(), Vec::<&(&str, &str, &str)>::new());
}

#[test]
fn the_catalogue_tells_about_methods() {
    let all = methods().unwrap();
    let ivf = all.iter().find(|method| (method.noun, method.name) == ("index", "ivf")).unwrap();
    assert!(ivf.inputs.iter().any(|input| input.name == "vectors" && input.required));
    assert!(ivf.keys.iter().any(|key| key.name == "code" && key.kind == "spec" && key.noun == "quantizer"));
    let page = sonde::describe("index", "ivf").unwrap();
    assert!(page.contains(ivf.summary) && ivf.keys.iter().all(|key| page.contains(key.name)));
}

#[test]
fn the_library_is_the_one_that_was_declared() {
    assert_eq!(sonde::version(), sonde_sys::SONDE_HEADER_VERSION);
    assert_eq!(sonde::version(), env!("CARGO_PKG_VERSION"));
    assert!(sonde::build_info().contains(&format!("version={}", sonde::version())));
}
