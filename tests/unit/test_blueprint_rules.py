"""What a blueprint must keep to besides the contract."""

import time

import pytest

from domain.blueprints import rules
from domain.errors import InvalidRequestError, RulesViolatedError
from tests.support.blueprint_documents import MAX_SIZE, MIB, a_document, customizing, violations, with_users
from tests.support.builders import image_request
from tests.support.waiting import SOON

NAME = "blueprint name rule violation"
USER = "user rule violation"
FILE = "file rule violation"
DIRECTORY = "directory rule violation"
FILESYSTEM = "filesystem rule violation"
NODES = [("file", "files"), ("directory", "directories")]
BLANKS = ["", " ", "   ", "\t", "\n", " \t\r\n "]
NO_SIZES = ["10", "10 GiB", "", 1.5, 1.0, -1, 2**64, 10**30, True, None, [], {}]


def keeps(document):
    """Whether nothing is wrong with a document: `check` would raise."""
    rules.check(document)
    return True


def node_violations(field, *nodes):
    return violations(customizing(**{field: list(nodes)}))


def with_mountpoint(mountpoint, min_size=0):
    return customizing(filesystem=[{"mountpoint": mountpoint, "min_size": min_size}])


@pytest.mark.parametrize("name", BLANKS)
def test_a_name_needs_a_character_that_is_no_blank(name):
    assert [title for title, _ in violations(a_document(name=name))] == [NAME]


@pytest.mark.parametrize("name", ["b", " b ", "a b", "é", "☃", ".", "x" * 100])
def test_any_other_name_will_do_blanks_around_it_too(name):
    assert keeps(a_document(name=name))


def test_a_blueprint_without_customizations_breaks_no_rule():
    assert keeps(a_document())


@pytest.mark.parametrize("name", BLANKS)
def test_a_user_needs_a_name(name):
    assert violations(with_users({"name": "u"}, {"name": name})) == [(USER, "missing user name")]


@pytest.mark.parametrize("password", ["plain", "$", "$ecret", "$6", "$6$s$h", "$5$s$h", "$2b$12$h", "1$1$a", " $1$a"])
def test_a_password_is_plain_or_in_a_crypt_form_the_composer_knows(password):
    assert keeps(with_users({"name": "u", "password": password}))


@pytest.mark.parametrize("password", ["$y$j9T$s$h", "$1$s$h", "$2a$12$h", "$2y$12$h", "$7$s$h", "$gy$j9T$s$h"])
def test_another_crypt_form_is_refused_by_the_user_s_name(password):
    [(title, detail)] = violations(with_users({"name": "fine"}, {"name": "smith", "password": password}))
    assert title == USER
    assert "smith" in detail
    assert "fine" not in detail
    assert password not in detail


@pytest.mark.parametrize(("kind", "field"), NODES)
@pytest.mark.parametrize("path", ["", "a", "etc/a", "./a", "../a", " /a", "~/a"])
def test_a_path_must_be_absolute(kind, field, path):
    expected = (f"{kind} rule violation", f'{kind} "{path}": path "{path}" must be absolute')
    assert node_violations(field, {"path": path}) == [expected]


@pytest.mark.parametrize(("kind", "field"), NODES)
@pytest.mark.parametrize(
    "path",
    ["//a", "///a", "/a/", "/a//", "/a//b", "/a/./b", "/a/.", "/./a", "/a/../b", "/a/..", "/../a", "/..", "/.", "//"],
)
def test_a_path_must_be_canonical(kind, field, path):
    expected = (f"{kind} rule violation", f'{kind} "{path}": path "{path}" must be canonical')
    assert node_violations(field, {"path": path}) == [expected]


DENIED_TREES = [
    *["/bin", "/boot", "/dev", "/efi", "/lib", "/lib64", "/lost+found", "/proc", "/run", "/sbin", "/sys"],
    *["/sysroot", "/tmp", "/usr", "/var/run", "/var/tmp"],  # noqa: S108
]


@pytest.mark.parametrize(("kind", "field"), NODES)
@pytest.mark.parametrize("below", ["", "/a", "/a/b", "/.a", "/bin"])
@pytest.mark.parametrize("tree", DENIED_TREES)
def test_nothing_is_made_in_a_denied_tree(kind, field, tree, below):
    path = f"{tree}{below}"
    expected = (f"{kind} rule violation", f'{kind} "{path}": path "{path}" is not allowed')
    assert node_violations(field, {"path": path}) == [expected]


@pytest.mark.parametrize(("kind", "field"), NODES)
@pytest.mark.parametrize("path", ["/", "/usr/locale", "/usr/local2/a", "/usr/share/local"])
def test_neither_the_root_nor_what_only_begins_as_usr_local_is_allowed(kind, field, path):
    expected = (f"{kind} rule violation", f'{kind} "{path}": path "{path}" is not allowed')
    assert node_violations(field, {"path": path}) == [expected]


@pytest.mark.parametrize(("_kind", "field"), NODES)
@pytest.mark.parametrize("more", ["ary", "-x", "2", " ", ".d", "x/a"])
@pytest.mark.parametrize("tree", DENIED_TREES)
def test_a_sibling_that_only_begins_as_a_denied_tree_is_allowed(_kind, field, tree, more):
    assert keeps(customizing(**{field: [{"path": f"{tree}{more}"}]}))


@pytest.mark.parametrize(("_kind", "field"), NODES)
@pytest.mark.parametrize(
    "path",
    [
        *["/usr/local", "/usr/local/a", "/usr/local/bin/a", "/usr/local/tmp", "/var", "/var/a", "/var/lib/a", "/etc"],
        *["/etc/a", "/etc/passwd-", "/etc/shadow.d", "/root/a", "/home/u/a", "/opt", "/srv", "/a/bin"],
        *["/BIN", "/a b", "/é", "/..a", "/...", "/a..b", "/a/.b", "/mnt/var/run"],
    ],
)
def test_everywhere_else_files_and_directories_are_made(_kind, field, path):
    assert keeps(customizing(**{field: [{"path": path}]}))


SYSTEM_FILES = ["/etc/fstab", "/etc/group", "/etc/passwd", "/etc/shadow"]


@pytest.mark.parametrize("path", SYSTEM_FILES)
def test_the_system_s_own_files_are_not_replaced(path):
    assert node_violations("files", {"path": path}) == [(FILE, f'file "{path}": path "{path}" is not allowed')]


@pytest.mark.parametrize("path", SYSTEM_FILES)
def test_a_directory_may_have_the_name_of_such_a_file(path):
    assert keeps(customizing(directories=[{"path": path}]))


GOOD_FIELDS = [
    *[("mode", mode) for mode in ("", "644", "0644", "755", "000", "0777")],
    *[("user", user) for user in ("root", "_u", ".u", "U.n-x_9", "9", "a" * 32, 0, 1000, 2**31)],
    *[("group", group) for group in ("root", "_g", "9", "g-1", "G_1", ".g", "g.g", "a" * 32, 0, 1000)],
]
BAD_FIELDS = [
    *[("mode", mode) for mode in ("8", "0888", "rw-r--r--", "u+x", "-1", "+7", " 644", "644 ", "0o644", "0x1", "6_4")],
    *[("mode", mode) for mode in ("10000", "77777", "644\n", "٦٤٤", "0", "7", "1777", "04755", "00644")],
    *[("user", user) for user in ("", "-u", "u u", "u:g", "ü", "u$", "root\n", "a/b", "a" * 33, -1, -(2**31))],
    *[("group", group) for group in ("", "-g", "g g", "ĝ", "g$", "g\n", "a" * 33, -1)],
]


@pytest.mark.parametrize(("_kind", "field"), NODES)
@pytest.mark.parametrize(("name", "value"), GOOD_FIELDS, ids=repr)
def test_an_octal_mode_and_a_name_or_number_as_owner_are_allowed(_kind, field, name, value):
    assert keeps(customizing(**{field: [{"path": "/etc/a", name: value}]}))


@pytest.mark.parametrize(("kind", "field"), NODES)
@pytest.mark.parametrize(("name", "value"), BAD_FIELDS, ids=repr)
def test_any_other_mode_or_owner_is_refused(kind, field, name, value):
    [(title, detail)] = node_violations(field, {"path": "/etc/a", name: value})
    assert title == f"{kind} rule violation"
    assert detail.startswith(f'{kind} "/etc/a": ')
    assert name in detail


@pytest.mark.parametrize(("kind", "field"), NODES)
def test_an_entry_is_complained_of_once_its_path_first(kind, field):
    found = node_violations(field, {"path": "/bin/a", "mode": "9", "user": "-", "group": "-"})
    assert found == [(f"{kind} rule violation", f'{kind} "/bin/a": path "/bin/a" is not allowed')]


@pytest.mark.parametrize(("_kind", "field"), NODES)
@pytest.mark.parametrize(
    ("first", "wrong"),
    [
        ("mode", {"group": "-", "user": "-", "mode": "9"}),
        ("user", {"group": "-", "user": "-", "mode": "0644"}),
        ("group", {"group": "-", "user": "u"}),
    ],
)
def test_of_an_entry_the_mode_then_the_user_then_the_group_is_complained_of(_kind, field, first, wrong):
    [(_, detail)] = node_violations(field, {"path": "/etc/a", **wrong})
    assert [name for name in ("mode", "user", "group") if name in detail] == [first]


def test_every_entry_is_complained_of_in_the_order_sent():
    found = node_violations("files", {"path": "/tmp/b"}, {"path": "/etc/a"}, {"path": "a"}, {"path": "/tmp/c"})  # noqa: S108
    denied = [(FILE, f'file "{path}": path "{path}" is not allowed') for path in ("/tmp/b", "/tmp/c")]  # noqa: S108
    assert found == [denied[0], (FILE, 'file "a": path "a" must be absolute'), denied[1]]


@pytest.mark.parametrize(
    ("mountpoint", "complaint"),
    [
        ("", "mountpoint must not be empty"),
        ("home", 'mountpoint "home" must be absolute'),
        ("./home", 'mountpoint "./home" must be absolute'),
        (" ", 'mountpoint " " must be absolute'),
        ("/home/", 'mountpoint "/home/" must be canonical'),
        ("//home", 'mountpoint "//home" must be canonical'),
        ("/a//b", 'mountpoint "/a//b" must be canonical'),
        ("/a/./b", 'mountpoint "/a/./b" must be canonical'),
        ("/a/../b", 'mountpoint "/a/../b" must be canonical'),
    ],
)
def test_a_mountpoint_is_a_path_absolute_and_canonical(mountpoint, complaint):
    assert violations(with_mountpoint(mountpoint)) == [(FILESYSTEM, complaint)]


@pytest.mark.parametrize("mountpoint", ["/", "/home", "/boot", "/tmp", "/usr", "/var/tmp", "/a b"])  # noqa: S108
def test_file_systems_are_mounted_anywhere(mountpoint):
    assert keeps(with_mountpoint(mountpoint))


@pytest.mark.parametrize("size", [0, MIB, MIB + 1, 2**40, MAX_SIZE])
def test_a_file_system_has_no_least_size_or_one_of_a_mebibyte_or_more(size):
    assert keeps(with_mountpoint("/home", size))


@pytest.mark.parametrize("size", [1, 1024, 1_000_000, MIB - 1])
def test_a_least_size_below_a_mebibyte_is_refused(size):
    complaint = 'mountpoint "/home" minimum size must be at least 1MB'
    assert violations(with_mountpoint("/home", size)) == [(FILESYSTEM, complaint)]


def test_a_file_system_is_complained_of_for_its_size_besides_its_mountpoint():
    assert violations(with_mountpoint("home", 1)) == [
        (FILESYSTEM, 'mountpoint "home" must be absolute'),
        (FILESYSTEM, 'mountpoint "home" minimum size must be at least 1MB'),
    ]


def test_all_that_is_wrong_is_said_at_once_in_order():
    document = a_document(
        name=" ",
        customizations={
            "filesystem": [{"mountpoint": "", "min_size": 0}, {"mountpoint": "/a", "min_size": 1}],
            "directories": [{"path": "/etc/../a"}],
            "files": [{"path": "/proc"}, {"path": "/"}],
            "users": [{"name": ""}, {"name": "u"}, {"name": " "}],
        },
    )
    found = violations(document)
    assert found[0][0] == NAME
    assert found[1:] == [
        (USER, "missing user name"),
        (USER, "missing user name"),
        (FILE, 'file "/proc": path "/proc" is not allowed'),
        (FILE, 'file "/": path "/" is not allowed'),
        (DIRECTORY, 'directory "/etc/../a": path "/etc/../a" must be canonical'),
        (FILESYSTEM, "mountpoint must not be empty"),
        (FILESYSTEM, 'mountpoint "/a" minimum size must be at least 1MB'),
    ]


@pytest.mark.parametrize("size", NO_SIZES, ids=repr)
def test_an_image_s_size_is_a_whole_number_of_bytes(size):
    document = a_document(image_requests=[image_request(size=1), {**image_request(), "size": size}])
    with pytest.raises(InvalidRequestError, match=r"image_requests\[1\]\.size"):
        rules.check(document)


@pytest.mark.parametrize("size", NO_SIZES, ids=repr)
def test_a_least_size_is_a_whole_number_of_bytes(size):
    document = customizing(filesystem=[{"mountpoint": "/", "min_size": 0}, {"mountpoint": "/a", "min_size": size}])
    with pytest.raises(InvalidRequestError, match=r"customizations\.filesystem\[1\]\.min_size"):
        rules.check(document)


def test_what_is_no_size_is_refused_before_any_rule_is_looked_at():
    with pytest.raises(InvalidRequestError):
        rules.check({**with_mountpoint("a", "1 GiB"), "name": ""})


@pytest.mark.parametrize("size", [0, 1, MAX_SIZE])
def test_an_image_s_size_is_judged_when_it_is_composed(size):
    assert keeps(a_document(image_requests=[image_request("aws", "aws", size=size)]))


@pytest.mark.parametrize("number", [20, 21, 8_000])
def test_all_violations_are_counted_and_the_first_are_listed(number):
    document = {**customizing(files=[{"path": f"/tmp/{each}"} for each in range(number)]), "name": ""}  # noqa: S108
    with pytest.raises(RulesViolatedError) as broken:
        rules.check(document)
    assert broken.value.total == number + 1
    assert [each.title for each in broken.value.violations] == [NAME, *[FILE] * 19]


@pytest.mark.parametrize(
    "long",
    [
        {"path": "/tmp/" + "a/" * 500_000},  # noqa: S108
        {"path": "/etc/" + "../" * 500_000},
        {"path": "/etc/a", "mode": "7" * 1_000_000},
        {"path": "/etc/a", "user": "a" * 1_000_000},
    ],
    ids=lambda long: f"{list(long)[-1]} {list(long.values())[-1][:9]}",
)
def test_one_long_value_is_judged_in_linear_time(long):
    began = time.thread_time()
    assert len(node_violations("files", long)) == 1
    assert time.thread_time() - began < SOON
