//! Debian's Prometheus beside a herald: what it makes of the alert rules, and of
//! what the dashboards ask.

use super::{
    conversation::{Herald, talk},
    rules,
};
use crate::{
    harness::folder,
    packages::{self, run},
    process::{free_address, signal_child},
};
use reqwest::Url;
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs::{self, File},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
use tokio::{
    process::{Child, Command},
    time::{interval, timeout},
};

const PATIENCE: Duration = Duration::from_mins(1);
const LOOK: Duration = Duration::from_millis(250);

/// A Prometheus that scrapes one herald, as `prometheus.yml` says, but every second.
struct Prometheus {
    url: String,
    child: Child,
    said: PathBuf,
}

impl Prometheus {
    async fn start(herald: &Herald) -> Self {
        let own = folder("prometheus");
        fs::create_dir_all(&own).unwrap();
        let metrics = Url::parse(herald.metrics_url()).unwrap();
        let config = fs::read_to_string(rules::folder().join("prometheus.yml")).unwrap();
        let config = config
            .replace("10s", "1s")
            .replace("- alerts.yml", &format!("- {}", rules::folder().join("alerts.yml").display()))
            .replace("127.0.0.1:9090\"", &format!("127.0.0.1:{}\"", metrics.port().unwrap()));
        fs::write(own.join("prometheus.yml"), config).unwrap();
        let (address, said) = (free_address(), own.join("said"));
        let child = Command::new(packages::debian("prometheus", "prometheus").await)
            .arg(format!("--config.file={}", own.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", own.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&said).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { url: format!("http://{address}/api/v1"), child, said }
    }

    /// What it answers, once that is as it should be.
    async fn until(&self, path: &str, query: &[(&str, &str)], is_right: impl Fn(&Value) -> bool) -> Value {
        let url = Url::parse_with_params(&format!("{}/{path}", self.url), query).unwrap();
        let mut last = Value::Null;
        let asking = async {
            let mut look = interval(LOOK);
            loop {
                look.tick().await;
                // At first it is not there yet.
                if let Ok(answer) = reqwest::get(url.clone()).await {
                    last = answer.json().await.unwrap_or_default();
                    if is_right(&last["data"]) {
                        return;
                    }
                }
            }
        };
        let in_time = timeout(PATIENCE, asking).await.is_ok();
        assert!(in_time, "{url}: {last:#}\n{}", fs::read_to_string(&self.said).unwrap());
        last["data"].take()
    }

    async fn finish(mut self) {
        signal_child(&self.child, Signal::TERM);
        assert!(self.child.wait().await.unwrap().success());
    }
}

#[tokio::test]
async fn each_alert_is_raised_by_what_it_is_for_and_ends_with_it() {
    let promtool = packages::debian("prometheus", "promtool").await;
    for (what, file) in [
        (["check", "config"], "prometheus.yml"),
        (["check", "rules"], "alerts.yml"),
        (["test", "rules"], "alerts_test.yml"),
    ] {
        run(Command::new(&promtool).args(what).arg(rules::folder().join(file))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_a_herald_takes_its_alerts_and_answers_its_dashboards() {
    let herald = Herald::start(&folder("prometheus-herald"), &[]).await;
    let prometheus = Prometheus::start(&herald).await;
    talk(&herald).await;

    let is_up = |data: &Value| data["activeTargets"][0]["health"] == "up";
    prometheus.until("targets", &[], is_up).await;
    let are_evaluated = |data: &Value| {
        let rules = data["groups"][0]["rules"].as_array();
        rules.is_some_and(|rules| rules.iter().all(|rule| rule["health"] == "ok"))
    };
    let taken = prometheus.until("rules", &[], are_evaluated).await;
    let taken = taken["groups"][0]["rules"].as_array().unwrap();
    let taken: Vec<_> = taken.iter().map(|rule| rule["name"].as_str().unwrap()).collect();
    assert_eq!(taken, rules::rules().iter().map(|rule| &*rule.name).collect::<Vec<_>>());

    let has_series = |data: &Value| data["result"].as_array().is_some_and(|result| !result.is_empty());
    for question in rules::questions("expr") {
        let question = question.replace("$__rate_interval", "15s");
        prometheus.until("query", &[("query", &question)], has_series).await;
    }
    prometheus.finish().await;
    let (status, _) = herald.finish().await;
    assert!(status.success(), "{status}");
}
