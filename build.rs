//! Has the linker put `kafka::native`'s stand-ins in the place of two functions of librdkafka, where it can.

/// What `kafka::native` has a stand-in for.
const REPLACED: [&str; 2] = ["rd_kafka_topic_partition_list_find", "rd_kafka_handle_OffsetFetch"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(librdkafka_stand_ins)");
    // `--wrap` is known to the linkers of this platform: GNU ld, gold, lld and mold. Elsewhere librdkafka does without.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo::rustc-cfg=librdkafka_stand_ins");
        for function in REPLACED {
            println!("cargo::rustc-link-arg=-Wl,--wrap={function}");
        }
    }
}
