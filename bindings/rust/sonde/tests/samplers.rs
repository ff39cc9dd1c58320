//! Samplers of rows, tokens and paths: what goes in, what comes out, closures, and the way through bytes.
//!
//! SPDX-License-Identifier: MIT

use sonde::{
    Bits, Candidate, ErrorKind, Gradient, Index, Input, MatrixView, PathSampler, RowSampler, TokenOptions,
    TokenSampler, Values,
};
use std::sync::Arc;

/// Numbers between -1 and 1 by a formula.
fn some(count: usize, step: u64) -> Vec<f32> {
    (0..count as u64).map(|i| ((i * step * 7919 + i * i) % 1009) as f32 / 504.5 - 1.0).collect()
}

#[test]
fn a_pass_is_every_row_once() {
    let mut sampler = RowSampler::new("random", 0).unwrap();
    assert!(!sampler.is_fitted());
    assert_eq!(sampler.draw(1).unwrap_err().kind(), ErrorKind::State);
    sampler.fit(&[Input::column("ids", &[4i64, 9, 2])]).unwrap();
    let (first, second) = (sampler.draw(2).unwrap(), sampler.draw(2).unwrap());
    let mut all = [first.ids.clone(), second.ids.clone()].concat();
    all.sort();
    assert_eq!(all, [2, 4, 9]);
    assert!(!first.last && second.last && second.pass == 0 && second.weights == [1.0] && second.groups.is_none());
    let again = RowSampler::from_bytes(&sampler.to_bytes().unwrap()).unwrap().draw(3).unwrap();
    assert_eq!((again.clone(), again.pass), (sampler.draw(3).unwrap(), 1));
    sampler.seek(0).unwrap();
    assert_eq!(sampler.draw(2).unwrap(), first);
}

#[test]
fn negatives_come_from_an_index() {
    let (documents, queries) = (some(100 * 4, 3), some(5 * 4, 5));
    let positives = [7i64; 5];
    let mut built = RowSampler::new("adore(depth=6)", 4).unwrap();
    built
        .fit(&[
            Input::new("queries", &queries),
            Input::new("documents", &documents),
            Input::column("positives", &positives),
        ])
        .unwrap();
    let index = Index::new("flat(metric=ip)", 4).unwrap();
    index.add(&documents, None).unwrap();
    let mut attached = RowSampler::new("adore(depth=6)", 4).unwrap();
    attached.attach(Some(Arc::new(index))).unwrap();
    attached.fit(&[Input::new("queries", &queries), Input::column("positives", &positives)]).unwrap();
    let wanted = [Input::column("query_ids", &[3i64])];
    let (a, b) = (built.draw_for(&wanted, 6).unwrap(), attached.draw_for(&wanted, 6).unwrap());
    assert_eq!(a.ids, b.ids);
    assert!(a.ids.len() == 6 && !a.ids.contains(&7));
    match built.output("ranks").unwrap().values {
        Values::I32(ranks) => assert_eq!(ranks.len(), 6),
        other => panic!("ranks are {other:?}"),
    }
    assert_eq!(built.output("rank").unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_loss_has_gradients() {
    let sampler = RowSampler::new("nbpo(form=exact)", 0).unwrap();
    let (logits, flips, labels) = ([0.3f32, -0.2, 1.0], [-2.0f32, -1.0, -3.0], [1u8, 0, 0]);
    let loss = |logits: &[f32; 3], gradients: &mut [Gradient<'_>]| {
        let inputs =
            [Input::column("logits", logits), Input::column("flip_logits", &flips), Input::column("labels", &labels)];
        sampler.loss(&inputs, gradients).unwrap()
    };
    let mut slope = [0.0f32; 3];
    loss(&logits, &mut [Gradient::new("logits", &mut slope)]);
    for i in 0..3 {
        let (mut ahead, mut behind) = (logits, logits);
        ahead[i] += 0.01;
        behind[i] -= 0.01;
        let wanted = (loss(&ahead, &mut []) - loss(&behind, &mut [])) / 0.02;
        assert!((f64::from(slope[i]) - wanted).abs() < 1e-4, "{i}: {} and {wanted}", slope[i]);
    }
    let mut short = [0.0f32; 2];
    let inputs = [Input::column("logits", &logits)];
    assert!(sampler.loss(&inputs, &mut [Gradient::new("logits", &mut short)]).is_err());
    assert!(sampler.loss(&inputs, &mut [Gradient::new("none", &mut slope)]).is_err());
}

#[test]
fn shards_are_merged() {
    let weights = some(20, 11).iter().map(|w| w.abs() + 0.1).collect::<Vec<_>>();
    let ids: Vec<i64> = (0..20).collect();
    let fitted = |range: std::ops::Range<usize>| {
        let (weights, ids) = (weights[range.clone()].to_vec(), ids[range].to_vec());
        let mut sampler = RowSampler::new("weighted(keep=5)", 0).unwrap();
        sampler.fit(&[Input::column("weights", &weights), Input::column("ids", &ids)]).unwrap();
        sampler
    };
    let mut half = fitted(0..10);
    half.merge(&fitted(10..20)).unwrap();
    assert_eq!(half.draw(5).unwrap().ids, fitted(0..20).draw(5).unwrap().ids);
}

#[test]
fn tokens_are_filtered_and_drawn() {
    let logits = [0.0f32, 3.0, 2.0, -1.0, 1.0];
    let mut chain = TokenSampler::new("chain(top_k(k=2), temperature(value=0.7))", 5).unwrap();
    let kept = chain.filter(&logits, &TokenOptions::new(), 5).unwrap();
    assert_eq!(kept[0].iter().map(|one: &Candidate| one.id).collect::<Vec<_>>(), [1, 2]);
    assert!((kept[0].iter().map(|one| one.log_prob.exp()).sum::<f32>() - 1.0).abs() < 1e-6);
    let mask = [Bits(0b0000_1000)];
    let how = TokenOptions::new().sequences(&[42]).allowed(&mask);
    let drawn = chain.sample(&logits, &how).unwrap();
    assert_eq!((drawn.ids, drawn.survivors, drawn.log_probs), (vec![3], vec![1], vec![0.0]));
    assert_eq!(chain.next(&logits).unwrap().len(), 1);
    chain.accept(42, &[1, 2]).unwrap();
    chain.reset(None).unwrap();
    assert_eq!(chain.next(&[f32::NAN; 5]).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(chain.sample(&logits, &TokenOptions::new().sequences(&[1, 2])).is_err());
}

#[test]
fn drafts_are_grown_and_verified() {
    let mut rule = TokenSampler::new("speculative(verify=single, draft=iid, depth=3, width=1)", 4).unwrap();
    let tree = rule.draft_run(|tree, logits| {
        assert_eq!(logits.len(), 4 * tree.frontier.len());
        logits.fill(0.0);
        true
    });
    let tree = tree.unwrap();
    assert_eq!(tree.parents, [-1, 0, 1]);
    let target = [0.0f32; 16];
    let verdict = rule.verify(&target).unwrap();
    assert_eq!(verdict.path, [0, 1, 2], "equal laws accept everything");
    assert!((verdict.log_prob - 0.25f32.ln()).abs() < 1e-6);
    let same = rule.verify_tree(&target, &target, &tree).unwrap();
    assert_eq!(same.path.len(), 3);
    let mut by_hand = rule.draft_start().unwrap();
    while !by_hand.frontier.is_empty() {
        by_hand = rule.draft(&vec![0.0f32; 4 * by_hand.frontier.len()]).unwrap();
    }
    assert_eq!(by_hand.tokens.len(), 3);
    let rate = rule.accept_rate("single", &[0.5f32, 0.5, 0.0, 0.0], &[0.25f32; 4], 1).unwrap();
    assert!((rate - 0.5).abs() < 1e-9);
    assert_eq!(rule.draft_run(|_, _| false).unwrap_err().kind(), ErrorKind::Callback);
    let error = rule.draft_run(|_, _| panic!("no model")).unwrap_err();
    assert!(error.kind() == ErrorKind::Callback && error.message().contains("no model"));
}

#[test]
fn paths_by_hand_and_by_closure_are_the_same() {
    let x = some(2 * 3, 13);
    let mut solver = PathSampler::new("ddim(eta=1, schedule=vp(steps=7), seed=5)", 3).unwrap();
    let mut ran = x.clone();
    solver
        .run(&mut ran, |ask, prediction| {
            prediction.iter_mut().zip(ask.x).for_each(|(out, x)| *out = x.tanh() * ask.t as f32);
            true
        })
        .unwrap();
    solver.start(&x).unwrap();
    let mut count = 0;
    while let Some(ask) = solver.ask().unwrap() {
        let told: Vec<f32> = ask.x.iter().map(|x| x.tanh() * ask.t as f32).collect();
        assert_eq!((ask.condition, ask.evaluation), (true, count));
        solver.tell(&told).unwrap();
        count += 1;
    }
    assert_eq!(solver.state().unwrap(), ran);
    let nodes = solver.nodes().unwrap();
    assert!(nodes.len() > 7 && nodes[0].lambda < nodes[1].lambda && nodes[0].sigma > nodes[1].sigma);
    assert_eq!(solver.run(&mut ran, |_, _| false).unwrap_err().kind(), ErrorKind::Callback);
    assert!(solver.start(&MatrixView::new(&x, 2).unwrap()).is_err());
}
