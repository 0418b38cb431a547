//! An estimate as one page with plots, that needs nothing from elsewhere.

use super::{
    Estimate, Grown,
    costs::Source,
    text::{Bytes, Machines, Short},
};
use std::fmt::Write;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 56.0;
/// Tells lines apart for those who see no colours, too.
const DASHES: [&str; 3] = ["none", "7 4", "2 4"];

const STYLE: &str = "\
    :root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;padding:.25rem .75rem .25rem 0;\
    border-bottom:1px solid color-mix(in srgb,currentColor 18%,transparent);vertical-align:top}\
    td.n{font-variant-numeric:tabular-nums}svg{width:100%;height:auto}\
    svg text{font:12px system-ui,sans-serif;fill:currentColor}svg path,svg line{stroke:currentColor;fill:none}\
    .grid{opacity:.18}";

pub(super) fn page(estimate: &Estimate) -> String {
    let Estimate { people, machine, seed, plan, limits, growth, measured_on, costs } = estimate;
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Herald for {dau} people a day</title><style>{STYLE}</style>\n\
         <h1>Herald for {dau} people a day</h1>\n\
         <p>{messages} messages a day each, of {body} characters: {average} a second on average, {peak} at the peak; {day} of \
         text a day, {all} in {years} years.</p>\n",
        dau = Short(people.dau),
        messages = people.messages_per_user,
        body = people.body,
        average = Short(seed.messages_a_second),
        peak = Short(seed.messages_a_second_at_peak),
        day = Bytes(seed.gigabytes_a_day * 1e9),
        all = Bytes(seed.terabytes * 1e12),
        years = people.years,
    );
    let mut say = |text: String| page.push_str(&text);
    say(format!(
        "<h2>Machines</h2>\n<p>Of {} cores, {} GiB, {} TB and {} Gbit/s, {} % full at the peak.</p>\n",
        machine.cores,
        machine.memory,
        machine.disk,
        machine.network,
        machine.full * 100.0
    ));
    say(table(
        &["role", "machines", "bound by"],
        plan.roles()
            .into_iter()
            .map(|role| [role.name.to_owned(), Machines(role.machines).to_string(), role.bound().to_owned()]),
    ));
    say(plot(
        "Machines by people a day",
        growth,
        &[("edge", &|grown| grown.edge), ("nats", &|grown| grown.nats), ("postgres", &|grown| grown.postgres)],
    ));
    say("<h2>Disks</h2>\n".to_owned());
    say(table(
        &["", "a day", &format!("in {} years", people.years)],
        [
            ["log".to_owned(), Bytes(plan.log_bytes_a_day).to_string(), Bytes(plan.log_terabytes * 1e12).to_string()],
            [
                "views".to_owned(),
                Bytes(plan.view_bytes_a_day).to_string(),
                Bytes(plan.view_terabytes * 1e12).to_string(),
            ],
        ],
    ));
    say(plot("Terabytes by people a day", growth, &[("log and views", &|grown| Some(grown.terabytes))]));
    say("<h2>What gives way first</h2>\n".to_owned());
    say(table(
        &["people a day", "what", "remedy"],
        limits.iter().map(|limit| [Short(limit.dau).to_string(), limit.what.to_owned(), limit.remedy.to_owned()]),
    ));
    say(format!(
        "<h2>What one of each costs</h2>\n<p>Measured on {}, unless said to be assumed.</p>\n",
        escaped(measured_on)
    ));
    say(table(
        &["", "", ""],
        costs.iter().map(|cost| {
            let assumed = if cost.source == Source::Assumed { "assumed: " } else { "" };
            [cost.name.to_owned(), Short(cost.value).to_string(), format!("{assumed}{}", cost.meaning)]
        }),
    ));
    say("</html>\n".to_owned());
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn table(head: &[&str], rows: impl IntoIterator<Item = [String; 3]>) -> String {
    let mut table = "<table><tr>".to_owned();
    for cell in head {
        table.extend(["<th>", &escaped(cell), "</th>"]);
    }
    table += "</tr>\n";
    for cells in rows {
        let [first, second, third] = cells.map(|cell| escaped(&cell));
        table.extend(["<tr><td>", &first, "</td><td class=\"n\">", &second, "</td><td>", &third, "</td></tr>\n"]);
    }
    table + "</table>\n"
}

type Series<'a> = (&'a str, &'a dyn Fn(&Grown) -> Option<f64>);

/// Both axes by powers of ten.
fn plot(title: &str, growth: &[Grown], series: &[Series<'_>]) -> String {
    let figures = || growth.iter().flat_map(|grown| series.iter().filter_map(|(_, of)| of(grown)));
    let lowest = figures().fold(f64::INFINITY, f64::min).max(0.1).log10().floor();
    let highest = figures().fold(1.0, f64::max).log10().ceil().max(lowest + 1.0);
    let (Some(first), Some(last)) = (growth.first(), growth.last()) else { return String::new() };
    let (left, right) = (first.dau.max(1.0).log10(), last.dau.max(1.0).log10());
    let x = |dau: f64| MARGIN + (dau.max(1.0).log10() - left) / (right - left).max(0.1) * (WIDTH - 2.0 * MARGIN);
    let y = |figure: f64| {
        HEIGHT - MARGIN - (figure.max(0.1).log10() - lowest) / (highest - lowest) * (HEIGHT - 2.0 * MARGIN)
    };
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><text x=\"{MARGIN}\" y=\"20\">{title}</text>\n",
        title = escaped(title)
    );
    let mut tick = |at: f64, text: String, upright: bool| {
        let (line, place) = if upright {
            (
                format!("x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{MARGIN}\" y2=\"{:.1}\"", HEIGHT - MARGIN),
                format!("x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\"", HEIGHT - MARGIN + 18.0),
            )
        } else {
            (
                format!("x1=\"{MARGIN}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"", WIDTH - MARGIN),
                format!("x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\"", MARGIN - 8.0, at + 4.0),
            )
        };
        let _ = writeln!(svg, "<line class=\"grid\" {line}/><text {place}>{text}</text>");
    };
    let mut power = left.ceil();
    while power <= right {
        tick(x(10_f64.powf(power)), Short(10_f64.powf(power)).to_string(), true);
        power += 1.0;
    }
    let mut power = lowest;
    while power <= highest {
        tick(y(10_f64.powf(power)), Short(10_f64.powf(power)).to_string(), false);
        power += 1.0;
    }
    for ((name, of), dashes) in series.iter().zip(DASHES) {
        let points: Vec<_> = growth.iter().filter_map(|grown| Some((x(grown.dau), y(of(grown)?)))).collect();
        let path: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(svg, "<path stroke-width=\"2\" stroke-dasharray=\"{dashes}\" d=\"M{}\"/>", path.join("L"));
        if let Some((x, y)) = points.last() {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                x - 4.0,
                y - 6.0,
                escaped(name)
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
