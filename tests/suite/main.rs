//! Herald as a whole, on real servers. One binary: they are started once.

#![expect(unreachable_pub, reason = "a module's public items are what its neighbours use")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers as well")]

mod accounts;
mod analytics;
mod as_of;
mod asyncapi;
mod attacks;
mod audit;
mod backup;
mod bench;
mod chat;
mod cold;
mod consumers;
mod contract;
mod demo;
mod device;
mod doctor;
mod embedded;
mod eyes;
mod faults;
mod files;
mod handler;
mod harness;
mod log;
mod nodes;
mod operators;
mod packages;
mod pages;
mod people;
mod presence;
mod process;
mod proxy;
mod push;
mod raw;
mod rest;
mod restored;
mod sessions;
mod shards;
mod socket;
mod tidy;
mod tls;
mod trail;
mod truth;
mod views;
mod web;
mod whole;
