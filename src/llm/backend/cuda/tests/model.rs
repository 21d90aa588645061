//! The default model on the GPU, beside the CPU and beside itself.

use super::*;

/// Furthest that a logit of the default model may be from the CPU's, relative to the largest. Attention of a prompt in
/// fp16 shifts activations by 2⁻¹¹, which moves some of the int8 they are rounded to.
const LOGITS_APART: f32 = 0.05;

#[test]
fn the_default_model_says_what_the_cpu_says() {
    if gpu(Packing::TwoBits).is_none() {
        return;
    }
    use crate::llm::PackingChoice::{Base3, TwoBits};
    let cpu = pocket(BackendKind::Cpu, TwoBits);
    for packing in [TwoBits, Base3] {
        let cuda = pocket(BackendKind::Cuda, packing);
        println!("{}: {} on the device", cuda.backend(), cuda.device_bytes());
        let mut flips = 0;
        for (i, text) in
            ["The weather today is", "Once upon a time there was a small robot who", "List three facts about the sea."]
                .iter()
                .enumerate()
        {
            let prompt = cpu.tokenizer().encode(text, crate::llm::tokenizer::Specials::AsText).expect("encodes");
            let mut session = cpu.session().expect("a session");
            let wanted = greedy(&mut session, &prompt, 500);
            let mut session = cuda.session().expect("a session");
            session.append(&prompt, &|| false).expect("it fits");
            let mut widest = 0f32;
            for (at, (token, logits)) in wanted.iter().enumerate() {
                let found = session.logits().to_vec();
                widest = widest.max(distance(&found, logits));
                let ours = Sampler::greedy().sample(&found, &[]);
                if ours != *token {
                    flips += 1;
                    let gap = logits[token.0 as usize] - logits[ours.0 as usize];
                    println!(
                        "  prompt {i}, token {at}: the CPU {}, the GPU {}; the CPU sees {gap:.4} between them",
                        token.0, ours.0
                    );
                    assert!(gap < 0.5, "not a near-tie");
                }
                session.append(&[*token], &|| false).expect("it fits");
            }
            println!("prompt {i}: logits at most {widest:.1e} apart");
            assert!(widest < LOGITS_APART);
            // What the device finds itself is what its logits say.
            let mut session = cuda.session().expect("a session");
            session.append(&prompt, &|| false).expect("it fits");
            let (mut sampler, stop) = (Sampler::greedy(), []);
            let told: Vec<TokenId> =
                session.generate(&mut sampler, &stop, 200, &|| false).map(|t| t.expect("generates")).collect();
            let mut session = cuda.session().expect("a session");
            let own: Vec<TokenId> = greedy(&mut session, &prompt, 200).into_iter().map(|t| t.0).collect();
            assert_eq!(told, own);
        }
        assert!(flips <= 6, "{flips} of 1500 tokens differ");
    }
}

/// Rows are decoded by the same code wherever they lie, in a token's kernel and in a prompt's.
#[test]
fn the_embedding_on_the_device_is_the_files() {
    if gpu(Packing::TwoBits).is_none() {
        return;
    }
    let prompt: Vec<TokenId> = (200..290).map(TokenId).collect();
    for packing in [crate::llm::PackingChoice::TwoBits, crate::llm::PackingChoice::Base3] {
        let said = [EmbeddingPlace::File, EmbeddingPlace::Device].map(|embedding| {
            let engine = pocket_as(Settings { backend: BackendKind::Cuda, packing, embedding, ..pocket_options() });
            let said = greedy(&mut engine.session().expect("a session"), &prompt, 40);
            (said, engine.device_bytes().0)
        });
        let [(file, file_bytes), (device, device_bytes)] = said;
        assert!(file == device, "the same tokens with the same logits");
        assert!(device_bytes > file_bytes, "{device_bytes} bytes with the embedding, {file_bytes} without");
    }
}

/// The top-k that the device finds is enough for the same words as all logits give.
#[test]
fn words_drawn_from_the_devices_top_k_are_those_drawn_from_all() {
    if gpu(Packing::TwoBits).is_none() {
        return;
    }
    for packing in [crate::llm::PackingChoice::TwoBits, crate::llm::PackingChoice::Base3] {
        let engine = pocket(BackendKind::Cuda, packing);
        let prompt: Vec<TokenId> = (300..340).map(TokenId).collect();
        for (temperature, top_k) in [(0.7, 40), (1.5, 64), (1.0, 1), (1.0, 200)] {
            let sampling = Sampling { temperature, top_k, seed: 5, ..Sampling::default() };
            let mut session = engine.session().expect("a session");
            session.append(&prompt, &|| false).expect("it fits");
            let mut sampler = Sampler::new(sampling.clone());
            let few: Vec<TokenId> =
                session.generate(&mut sampler, &[], 60, &|| false).map(|t| t.expect("goes on")).collect();
            let mut session = engine.session().expect("a session");
            session.append(&prompt, &|| false).expect("it fits");
            let mut sampler = Sampler::new(sampling);
            let mut all = Vec::new();
            for _ in 0..60 {
                let token = sampler.sample(session.logits(), session.tokens());
                all.push(token);
                session.append(&[token], &|| false).expect("it fits");
            }
            assert_eq!(few, all, "temperature {temperature}, top {top_k}");
        }
    }
}

#[test]
fn a_prompt_in_pieces_is_the_same_prompt() {
    if gpu(Packing::TwoBits).is_none() {
        return;
    }
    let cuda = pocket(BackendKind::Cuda, crate::llm::PackingChoice::TwoBits);
    let mut r = Random(11);
    let tokens: Vec<TokenId> = (0..300).map(|_| TokenId((r.next() % 16000) as u32)).collect();
    let logits = |pieces: &[usize]| {
        let mut session = cuda.session().expect("a session");
        let mut at = 0;
        for n in pieces.iter().cycle() {
            let n = (*n).min(tokens.len() - at);
            session.append(&tokens[at..at + n], &|| false).expect("it fits");
            at += n;
            if at == tokens.len() {
                return session.logits().to_vec();
            }
        }
        unreachable!("cycles until the end")
    };
    let whole = logits(&[1]);
    for pieces in [&[8][..], &[64], &[3, 1, 17], &[2, 5]] {
        let far = distance(&logits(pieces), &whole);
        println!("in pieces of {pieces:?}: {far:.1e}");
        assert!(far < LOGITS_APART);
    }
}
