//! People who write to each other over sockets, two by two: how many messages
//! pass, how fast, and what each costs until it is in the views.

pub(super) mod check;
mod listener;
pub(super) mod load;
mod pace;
mod report;
mod talker;
mod views;

use super::{
    Options,
    floors::Floors,
    people::{self, People},
    progress::Progress,
    report::{Finding, Setting},
    sizes::Sizes,
    target::Target,
};
use anyhow::Context;
use load::Cast;
use report::Report;

pub(super) async fn measure(options: &Options, target: &Target, progress: &Progress) -> anyhow::Result<Finding> {
    let setting = Setting::read(options, target);
    let floors = Floors::measure(options, target, progress).await?;
    progress.step("people");
    let count = usize::try_from(options.users - options.users % 2)?;
    let mut people = people::gather(count, options, target).await?;
    People::pair(&people.http, &mut people.all).await?;
    let before = Sizes::read(target).await?;
    let cast = Cast::pairs(options, target, &people.all).await?;
    let moved = load::run(options, target, cast, progress).await?;
    let after = Sizes::read(target).await?;
    progress.step("checking the views");
    let check = check::run(target, &people.http, &people.all, 2, &moved, progress);
    let check = check.await.context("the views were not read back")?;
    let report = Report::new(options, setting, floors, &people, &moved, &before, &after, check);
    Finding::of(&report, &report.check)
}
