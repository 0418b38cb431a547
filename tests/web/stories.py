"""What people do with the web client, in a real Chromium: `python3 stories.py STORY`, as tests/suite/web.rs runs it.

The server is at HERALD_URL; a story that needs it killed or started says so on a line and goes on when it is answered."""

import json
import os
import pathlib
import struct
import sys
import time
import zlib

from device import NIGHT, PHONE, Device, expect, launch
from playwright.sync_api import sync_playwright

URL = os.environ["HERALD_URL"]
MARKUP = "<img src=x onerror=attack()>"
NOTES = b'{"notes": 1}'


def ask(what):
    """Has the test do something to the server."""
    print(what, flush=True)
    assert sys.stdin.readline().strip() == "done", what


def png(width, height):
    """A picture of one colour."""
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + b"\x0b\x6e\x5f" * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chat(browser):
    """Two people and a third device: everything that is done with messages and groups."""
    ada, bob = Device(browser, URL), Device(browser, URL, PHONE)
    ada.is_accessible("sign-in")
    ada.picture("sign-in")
    ada.sign_up("ada", "Ada Lovelace")
    bob.sign_up("bob", f"Bob {MARKUP}")
    bobs_name = f"Bob {MARKUP}"
    bob.is_accessible("an empty inbox, dark, on a telephone")

    ada.find("bob")
    ada.say("Hello Bob")
    expect(ada.ticks("Hello Bob")).to_have_attribute("aria-label", "delivered")
    expect(bob.page.get_by_role("img", name="1 unread")).to_be_visible()
    bob.fits()
    bob.open("Ada Lovelace")
    bob.sees("Hello Bob")
    expect(ada.ticks("Hello Bob")).to_have_attribute("aria-label", "read")
    bob.composer.press_sequentially("I wri")
    expect(ada.page.locator(".thread .writing")).to_contain_text("is writing")
    bob.say("I write back")
    ada.sees("I write back")

    tablet = Device(browser, URL, NIGHT)
    tablet.sign_in("ada")
    tablet.open(bobs_name)
    tablet.sees("I write back")
    bob.say("Do you both see this?")
    for device in (ada, tablet):
        device.sees("Do you both see this?")
    tablet.say("From the tablet")
    for device in (ada, bob):
        device.sees("From the tablet")

    # The keyboard alone: the last message of one's own is edited, and everybody sees it.
    ada.composer.press("ArrowUp")
    ada.composer.fill("From my tablet")
    ada.composer.press("Enter")
    for device in (ada, bob, tablet):
        device.sees("From my tablet")
        expect(device.bubble("From my tablet")).to_contain_text("edited")
    bob.act("From my tablet", "👍")
    expect(ada.page.get_by_role("button", name="👍 1")).to_be_visible()
    ada.page.get_by_role("button", name="👍 1").click()
    expect(bob.page.get_by_role("button", name="👍 2")).to_be_visible()
    bob.act("Hello Bob", "Reply")
    bob.say("An answer to the first")
    expect(ada.bubble("An answer to the first").locator(".quote")).to_contain_text("Hello Bob")
    ada.say("Said too soon")
    bob.sees("Said too soon")
    ada.act("Said too soon", "Delete for everybody")
    ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for device in (ada, bob, tablet):
        device.sees("Said too soon", times=0)
        device.sees("This message was deleted.")

    files = [{"name": "beach.png", "mimeType": "image/png", "buffer": png(240, 160)},
             {"name": f"{MARKUP.replace('/', '')}.txt", "mimeType": "text/plain", "buffer": NOTES}]
    ada.page.locator(".composer input[type=file]").set_input_files(files)
    ada.say(f"Two files {MARKUP}")
    picture = bob.bubble("Two files").locator("img")
    expect(picture).to_have_js_property("naturalWidth", 240)
    expect(bob.bubble("Two files").locator(".file")).to_contain_text("<img src=x")
    with bob.page.expect_download() as download:
        bob.bubble("Two files").locator(".file").click()
    assert download.value.path().read_bytes() == NOTES
    for device, state in ((ada, "a conversation"), (bob, "a conversation on a telephone"), (tablet, "a conversation in the dark")):
        device.is_accessible(state)
    ada.picture("conversation")
    bob.picture("telephone")
    tablet.picture("dark")
    bob.fits()

    groups(browser, ada, bob, bobs_name)
    people(ada, bob, bobs_name, tablet)
    for device in (ada, bob):
        device.is_sound()


def groups(browser, ada, bob, bobs_name):
    """A group with a title that is markup; roles, a mention, and a removal."""
    title = f"Trip {MARKUP}"
    ada.button("New conversation")
    ada.choose("New group")
    ada.page.get_by_label("Username").fill("bob")
    ada.button("Add")
    expect(ada.page.get_by_role("list", name="Members")).to_contain_text("Bob")
    ada.page.get_by_label("Title").fill(title)
    ada.button("Create group")
    expect(ada.page.get_by_role("heading", level=1, name=title)).to_be_visible()
    ada.open(bobs_name)
    bob.page.get_by_role("link", name="Back to conversations").click()
    bob.open(title)
    bob.composer.press_sequentially("Where to, @a")
    who = bob.page.get_by_role("option", name="Ada Lovelace @ada")
    expect(who).to_have_attribute("aria-selected", "true")
    bob.is_accessible("a list of members, dark, on a telephone")
    bob.fits()
    bob.picture("mentions")
    bob.page.keyboard.press("Escape")
    expect(who).to_have_count(0)
    expect(bob.composer).to_have_value("Where to, @a")
    bob.page.keyboard.type("d")
    expect(who).to_be_visible()
    bob.page.keyboard.press("ArrowDown")
    bob.page.keyboard.press("Enter")
    expect(bob.composer).to_have_value("Where to, @ada ")
    bob.say("Where to, @ada?")
    expect(ada.page.get_by_role("img", name="1 mention you")).to_be_visible()
    ada.open(title)
    expect(ada.bubble("Where to").locator("mark")).to_have_text("@ada")
    expect(ada.page.get_by_role("img", name="1 mention you")).to_have_count(0)
    ada.button("Conversation options")
    ada.choose("Members and settings")
    expect(ada.page.get_by_role("dialog")).to_contain_text("2 members")
    ada.is_accessible("a group's dialog")
    ada.button(f"Options for {bobs_name}")
    ada.choose("Make an admin")
    expect(ada.page.get_by_role("dialog").locator(".role", has_text="admin")).to_be_visible()
    bob.sees("Where to")
    expect(bob.page.locator(".notice", has_text="made you an admin")).to_be_visible()
    ada.button(f"Options for {bobs_name}")
    ada.choose("Remove from group")
    expect(bob.page.locator(".toast")).to_contain_text("not there for you any more")
    expect(bob.thread(title)).to_have_count(0)
    expect(ada.page.get_by_role("dialog")).to_contain_text("1 member")
    ada.page.keyboard.press("Escape")
    ada.say("Bob does not hear this")
    ada.sees("Bob does not hear this")
    expect(bob.page.get_by_text("Bob does not hear this")).to_have_count(0)


def people(ada, bob, bobs_name, tablet):
    """Contacts and blocks, search with a jump, devices; by keyboard where that is the way."""
    ada.button("People")
    ada.page.get_by_role("dialog").get_by_role("button", name="Find somebody").click()
    ada.page.get_by_label("Username").fill("bob")
    ada.button("Find")
    ada.button("Add contact")
    ada.page.get_by_label("Your name for them").fill(f"Bobby {MARKUP}")
    ada.button("Save name")
    alias = f"Bobby {MARKUP}"
    ada.open(alias)
    ada.button("People")
    ada.page.get_by_role("dialog").get_by_text(alias).click()
    expect(ada.page.get_by_role("button", name="Remove contact")).to_be_visible()
    ada.is_accessible("somebody's profile")
    ada.button("Block")
    ada.page.get_by_role("dialog").get_by_role("button", name="Block", exact=True).click()
    expect(ada.page.locator(".thread .who")).to_contain_text("You blocked them")
    bob.open("Ada Lovelace")
    bob.say("Are you there?")
    expect(bob.page.locator(".failed-line")).to_contain_text("Not sent")
    ada.page.locator(".thread .who").click()
    ada.button("Unblock")
    expect(ada.page.get_by_role("button", name="Block", exact=True)).to_be_visible()
    ada.page.keyboard.press("Escape")
    bob.page.get_by_role("button", name="Try again").click()
    ada.sees("Are you there?")
    bob.sees("Are you there?")

    ada.page.keyboard.press("Control+k")
    ada.page.get_by_role("searchbox", name="Search messages").fill("answer first")
    hit = ada.page.get_by_role("list", name="Results").get_by_role("button")
    expect(hit).to_have_count(1)
    ada.is_accessible("search")
    hit.click()
    expect(ada.page.locator(".row.marked")).to_contain_text("An answer to the first")
    expect(ada.page.locator(".row.marked")).to_be_focused()

    ada.button("Settings")
    expect(ada.page.get_by_role("dialog")).to_contain_text("This device")
    ada.is_accessible("settings")
    ada.page.get_by_role("dialog").get_by_role("button", name="Sign out Chrome on Linux").click()
    expect(tablet.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert tablet.page.evaluate("localStorage.length") == 0
    ada.page.keyboard.press("Escape")


def protocol(browser):
    """The pure core of the client, without a server."""
    device = Device(browser, URL)
    device.page.evaluate(pathlib.Path(__file__).with_name("protocol.js").read_text().strip())
    device.is_sound()


def away(browser):
    """What is written without a connection is kept over a reload, and sent once; so it is when the server is killed."""
    ada, bob = Device(browser, URL), Device(browser, URL)
    ada.sign_up("ada", "Ada")
    bob.sign_up("bob", "Bob")
    ada.find("bob")
    ada.say("before")
    bob.open("Ada")
    bob.sees("before")
    # The files of the page are kept by then.
    ada.page.wait_for_function("navigator.serviceWorker.controller !== null")

    ada.context.set_offline(True)
    ada.is_away()
    for text in ("offline 1", "offline 2", "offline 3"):
        ada.say(text)
        expect(ada.ticks(text)).to_have_attribute("aria-label", "pending")
    ada.picture("offline")
    bob.say("meanwhile")
    ada.page.reload()
    ada.sees("before")
    ada.sees("offline 3")
    ada.context.set_offline(False)
    ada.is_in()
    for text in ("before", "meanwhile", "offline 1", "offline 2", "offline 3"):
        for device in (ada, bob):
            device.sees(text)
    expect(ada.ticks("offline 3")).to_have_attribute("aria-label", "read")

    ask("kill")
    for device in (ada, bob):
        device.is_away()
    ada.say("while it was down")
    bob.say("down for me too")
    ask("start")
    for device in (ada, bob):
        device.is_in()
        for text in ("while it was down", "down for me too"):
            device.sees(text)
    ask("kill")
    ask("start")
    for device in (ada, bob):
        device.is_in()
    bob.say("after")
    ada.sees("after")
    expect(bob.ticks("after")).to_have_attribute("aria-label", "read")
    assert ada.said() == bob.said(), (ada.said(), bob.said())
    assert ada.said()[0] == "before" and len(ada.said()) == 8, ada.said()
    for device in (ada, bob):
        device.is_sound()


SCROLL = """
async ([steps, goal]) => {
    const scroller = document.querySelector(".scroller");
    const frame = () => new Promise(requestAnimationFrame);
    const step = (Math.min(goal, scroller.scrollHeight) - scroller.scrollTop) / steps;
    let drawn = 0;
    for (let i = 0; i < steps; i++) {
        scroller.scrollTop += step;
        await frame();
        drawn = Math.max(drawn, document.querySelectorAll(".row").length);
    }
    // What was higher or lower than thought has moved the goal.
    scroller.scrollTop = goal;
    return drawn;
}
"""

# In milliseconds: what a browser calls a long task.
LONG = 50


def longest_task(browser, page, act):
    """The longest task of a page's main thread while something is done, in milliseconds of its processor time: on a
    machine that others use as well, its time on the wall would tell of them."""
    browser.start_tracing(page=page, categories=["toplevel", "__metadata"])
    act()
    events = json.loads(browser.stop_tracing())["traceEvents"]
    named = [event for event in events if event["name"] == "thread_name"]
    main = {(one["pid"], one["tid"]) for one in named if one["args"]["name"] == "CrRendererMain"}
    tasks = [event for event in events if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in main]
    tasks = [event["tdur"] for event in tasks if "tdur" in event]
    assert len(tasks) > 1_000, f"only {len(tasks)} tasks were seen"
    return max(tasks) / 1_000


def scroll(browser):
    """A thread of ten thousand messages: few of them are in the page, and no task of its scripts is long."""
    ada = Device(browser, URL)
    ada.sign_in(os.environ["HERALD_USERNAME"])
    ada.thread("Some Body").click()
    ada.sees("message 10000 and")

    def up_and_down():
        assert ada.page.evaluate(SCROLL, [300, 0]) < 150
        ada.sees("message 1 and")
        assert ada.page.evaluate(SCROLL, [300, 1e9]) < 150
        ada.sees("message 10000 and")

    longest = longest_task(browser, ada.page, up_and_down)
    print(f"the longest task took {longest:.0f} ms", flush=True)
    assert longest < LONG, f"a task took {longest:.0f} ms"
    ada.page.goto(ada.page.url + "/4321")
    expect(ada.page.locator(".row.marked")).to_have_attribute("data-number", "4321")
    expect(ada.page.locator(".row.marked .body")).to_contain_text("message")
    expect(ada.page.locator(".row.marked")).to_be_in_viewport()
    ada.is_sound()


def tutorial_joins(browser):
    """The third person of docs/tutorial.md comes."""
    cyd = Device(browser, URL)
    cyd.sign_up("cyd", "Cyd")
    cyd.is_sound()


def tutorial_answers(browser):
    """And answers in the group."""
    cyd = Device(browser, URL)
    cyd.sign_in("cyd")
    cyd.open("Analytical engines")
    for text in ("The first meeting is on Sunday.", "I bring punched cards."):
        cyd.sees(text)
    cyd.composer.fill("I bring tea.")
    cyd.composer.press("Enter")
    cyd.sees("I bring tea.")
    cyd.is_sound()


STORIES = {story.__name__: story for story in (protocol, chat, away, scroll, tutorial_joins, tutorial_answers)}

if __name__ == "__main__":
    began = time.monotonic()
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        for story in sys.argv[1:]:
            STORIES[story](chromium)
        chromium.close()
    print(f"told in {time.monotonic() - began:.1f} s", flush=True)
