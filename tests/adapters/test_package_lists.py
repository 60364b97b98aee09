"""Package lists of the distribution directory, indexed in shared memory."""

import gc
import json
import os
import tempfile
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.files.distributions import load_distributions
from adapters.files.package_list_files import package_list_path
from adapters.files.package_lists import index_package_lists
from domain.errors import ConfigurationError
from domain.packages import Package, PackagesPage, search
from domain.paging import Page
from tests.support.waiting import PATIENCE

ALL = Page(limit=1000, offset=0)
# Whatever JSON can hold: no lone surrogates, but zeros, line ends, and characters of one to four bytes.
TEXT = st.text(st.characters(codec="utf-8"), max_size=6) | st.text("ab", max_size=3)


class Directory:
    """Builds a distribution directory."""

    def __init__(self, path):
        self.path = path

    def distribution(self, folder="test-9", name=None, **architectures):
        """Add a folder with these repositories by architecture: `x86_64=("baseos", …)`; a dict has further keys."""
        (self.path / folder).mkdir(parents=True)
        document = {
            "module_platform_id": "platform:el9",
            "distribution": {"name": name or folder, "description": ""},
        }
        for architecture, repositories in (architectures or {"x86_64": ("baseos",)}).items():
            full = [{"id": each} if isinstance(each, str) else each for each in repositories]
            document[architecture] = {"repositories": [{"baseurl": "https://m", "rhsm": False} | each for each in full]}
        (self.path / folder / f"{folder}.json").write_text(json.dumps(document))
        return self

    def put(self, content, repository="baseos", architecture="x86_64", name="test-9", folder=None):
        """Write a package list: a dict of summaries by name in the format, text unchanged."""
        path = self.path / (folder or name) / f"{name}-{architecture}-{repository}-packages.json"
        listed = content if isinstance(content, dict) else None
        text = content if listed is None else json.dumps([{"name": n, "summary": s} for n, s in listed.items()])
        path.write_text(text)
        return path

    def lists(self):
        return index_package_lists(self.path, load_distributions(self.path))

    def search(self, text="", page=ALL, distribution="test-9", architecture="x86_64"):
        return self.lists().search(self.get(distribution), architecture, text, page)

    def get(self, name):
        return load_distributions(self.path)[name]

    def refusal(self):
        with pytest.raises(ConfigurationError) as caught:
            self.lists()
        return caught.value.detail


@pytest.fixture
def directory(tmp_path):
    return Directory(tmp_path / "distributions")


def test_a_search_finds_the_packages_of_the_list(directory):
    directory.distribution().put({"zsh": "A shell", "bash": "The shell", "vim": "An editor"})
    assert directory.search("sh") == PackagesPage(2, (Package("bash", "The shell"), Package("zsh", "A shell")))


def test_a_page_counts_all_that_match(directory):
    directory.distribution().put({f"p{number}": str(number) for number in range(10)})
    assert directory.search("p", Page(2, 7)) == PackagesPage(10, (Package("p7", "7"), Package("p8", "8")))


def test_all_repositories_are_searched_and_the_summary_of_the_first_is_returned(directory):
    directory.distribution(x86_64=("second", "first"))
    directory.put({"a": "from first", "b": "from first"}, "first")
    directory.put({"a": "from second", "c": "from second"}, "second")
    found = directory.search().packages
    assert found == (Package("a", "from second"), Package("b", "from first"), Package("c", "from second"))


def test_the_first_summary_of_a_repeated_name_is_returned(directory):
    directory.distribution().put('[{"name": "a", "summary": "1"}, {"name": "a", "summary": "2"}]')
    assert directory.search().packages == (Package("a", "1"),)


def test_unknown_keys_are_ignored(directory):
    directory.distribution().put('[{"name": "a", "summary": "1", "version": 5}]')
    assert directory.search().packages == (Package("a", "1"),)


def test_repositories_with_tags_are_not_searched(directory):
    directory.distribution(x86_64=("baseos", {"id": "google", "image_type_tags": ["gcp"]}))
    directory.put({"a": ""})
    directory.put({"b": ""}, "google")
    assert directory.search().packages == (Package("a", ""),)


def test_without_a_list_of_an_untagged_repository_there_is_no_list(directory):
    directory.distribution(x86_64=({"id": "google", "image_type_tags": ["gcp"]},))
    directory.put({"b": ""}, "google")
    assert directory.search() is None


def test_each_architecture_has_separate_lists(directory):
    directory.distribution(x86_64=("baseos",), aarch64=("baseos",))
    directory.put({"a": "x86"})
    directory.put({"a": "arm"}, architecture="aarch64")
    assert directory.search(architecture="aarch64").packages == (Package("a", "arm"),)


def test_a_search_without_a_list_returns_none(directory):
    directory.distribution(x86_64=("baseos",), aarch64=("baseos",))
    directory.put({"a": ""}, architecture="aarch64")
    assert directory.search() is None


def test_a_directory_without_lists_is_valid(directory):
    directory.distribution()
    assert directory.search() is None


def test_an_empty_list_counts_as_a_list(directory):
    directory.distribution().put("[]")
    assert directory.search() == PackagesPage(0, ())


def test_a_name_may_be_empty(directory):
    directory.distribution().put({"": "nothing"})
    assert directory.search().packages == (Package("", "nothing"),)


@pytest.mark.parametrize("as_file", [False, True])
def test_an_alias_has_the_lists_of_its_target(directory, as_file):
    directory.distribution().put({"a": ""})
    if as_file:
        (directory.path / "test").write_text("test-9")
    else:
        (directory.path / "test").symlink_to("test-9")
    assert directory.search(distribution="test").packages == (Package("a", ""),)


def test_a_link_to_a_folder_outside_the_directory_has_the_lists_of_its_target(directory, tmp_path):
    Directory(tmp_path / "elsewhere").distribution().put({"a": ""})
    directory.path.mkdir()
    (directory.path / "test").symlink_to(tmp_path / "elsewhere" / "test-9")
    assert directory.search(distribution="test").packages == (Package("a", ""),)


def test_aliases_need_no_additional_memory(directory):
    directory.distribution().put({"a": ""})
    alone = memory_of(directory.lists())
    (directory.path / "test").symlink_to("test-9")
    assert memory_of(directory.lists()) == alone > 0


def test_folders_with_the_same_distribution_name_have_separate_lists(directory):
    directory.distribution("one", name="same").put({"a": ""}, name="same", folder="one")
    directory.distribution("two", name="same").put({"b": ""}, name="same", folder="two")
    found = [directory.search(distribution=name).packages for name in ("one", "two")]
    assert found == [(Package("a", ""),), (Package("b", ""),)]


@given(st.dictionaries(TEXT, TEXT, max_size=20), TEXT)
def test_any_json_text_is_found_according_to_the_ranking(packages, text):
    with tempfile.TemporaryDirectory() as folder:
        directory = Directory(Path(folder) / "distributions").distribution()
        directory.put(packages)
        expected = search([Package(*each) for each in packages.items()], text, ALL)
        assert directory.search(text) == expected


def test_a_search_for_text_that_is_not_valid_utf_8_finds_nothing(directory):
    directory.distribution().put({"a": ""})
    assert directory.search("\ud800") == PackagesPage(0, ())


def test_names_may_contain_any_character(directory):
    directory.distribution().put({"".join(map(chr, range(0xD800))): "all but the surrogates", "b": ""})
    assert directory.search("\x00").packages[0].summary == "all but the surrogates"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{}", "Expected an array of {name, summary}."),
        ("5", "Expected an array of {name, summary}."),
        ("null", "Expected an array of {name, summary}."),
        ('"text"', "Expected an array of {name, summary}."),
        ('["bash"]', "[0]: Expected {name, summary}."),
        ('[{"name": "a", "summary": ""}, ["name"]]', "[1]: Expected {name, summary}."),
        ('[{"name": "bash", "summary": "a shell"}, {"name": "zsh"}]', "[1].summary: Expected text."),
        ('[{"summary": "a shell"}]', "[0].name: Expected text."),
        ('[{"name": 5, "summary": ""}]', "[0].name: Expected text."),
        ('[{"name": "", "summary": null}]', "[0].summary: Expected text."),
        ("[", "Not JSON: "),
        ("", "Not JSON: "),
    ],
)
def test_the_error_about_an_invalid_list_names_file_and_field(directory, content, fault):
    path = directory.distribution().put(content)
    assert directory.refusal().startswith(f"{path}: {fault}")


def test_the_error_about_an_unreadable_list_names_the_file(directory):
    path = directory.distribution().put({})
    path.unlink()
    path.mkdir()
    assert directory.refusal().startswith(f"{path}: cannot be read: ")


def test_all_invalid_lists_are_reported_together_and_once(directory):
    directory.distribution(x86_64=("baseos", {"id": "google", "image_type_tags": ["gcp"]}))
    paths = [directory.put("[", "baseos"), directory.put("{}", "google")]
    (directory.path / "a-test").symlink_to("test-9")
    assert [line.split(": ")[0] for line in directory.refusal().splitlines()] == list(map(str, paths))


def test_a_list_is_named_after_the_distribution_and_found_by_the_folder_name(directory):
    directory.distribution("folder", name="test-9")
    path = directory.put({"a": ""}, folder="folder")
    distribution = directory.get("folder")
    (repository,) = distribution.architecture("x86_64").repositories
    assert package_list_path(directory.path, distribution, "x86_64", repository) == path


@pytest.fixture(params=["memory", "no memory without a name"])
def platform(request, monkeypatch):
    if request.param != "memory":
        monkeypatch.delattr(os, "memfd_create")


def test_spawned_processes_share_the_memory(directory, platform):
    directory.distribution().put({"a": "1"})
    (directory.path / "test").symlink_to("test-9")
    lists = directory.lists()
    found = [searched_by_another_process(lists, directory.get(name)) for name in ("test-9", "test", "test-9")]
    assert found == [(PackagesPage(1, (Package("a", "1"),)), file_behind(lists))] * 3


def test_a_process_can_be_spawned_without_lists(directory):
    directory.distribution()
    assert searched_by_another_process(directory.lists(), directory.get("test-9"))[0] is None


def test_loaded_lists_do_not_change_with_their_files(directory):
    path = directory.distribution().put({"a": ""})
    lists = directory.lists()
    path.write_text("[")
    assert lists.search(directory.get("test-9"), "x86_64", "", ALL).count == 1


def test_descriptors_of_discarded_or_invalid_lists_are_closed(directory):
    path = directory.distribution().put({"a": ""})
    gc.collect()  # or garbage of other tests may close descriptors below
    before = len(list(Path("/proc/self/fd").iterdir()))
    directory.lists()
    path.write_text("[")
    directory.refusal()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def searched_by_another_process(lists, distribution):
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_search_all, args=(lists, distribution, there))
    process.start()
    there.close()
    found = here.recv()
    process.join(PATIENCE)
    here.close()
    assert process.exitcode == 0
    process.close()
    return found


def _search_all(lists, distribution, answers):
    answers.send((lists.search(distribution, "x86_64", "", ALL), file_behind(lists)))


def file_behind(lists):
    status = os.fstat(lists._descriptor)
    return status.st_dev, status.st_ino


def memory_of(lists):
    return os.fstat(lists._descriptor).st_size


def test_similar_names_come_from_the_list_of_the_distribution_and_architecture(directory):
    directory.distribution().put({"nginx": "", "httpd": "", "vim": ""})
    lists = directory.lists()
    found = lists.find_similar(directory.get("test-9"), "x86_64", ["ngnix", "htppd", "zzzzzz", "vim"])
    assert found == {"ngnix": ["nginx"], "htppd": ["httpd"], "zzzzzz": [], "vim": []}
    assert lists.find_similar(directory.get("test-9"), "aarch64", ["ngnix"]) == {}
