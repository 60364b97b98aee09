"""Write the distribution directory from its compact sources: `python tools/distributions.py [directory]`.

Regenerating puts the vendors' addresses back in place of fetched keys; run `image-builder distributions
fetch-keys` again afterwards.
"""

from __future__ import annotations

import sys
from pathlib import Path

from adapters.files.distribution_source import SOURCE_FILE, generate_documents, load_source, write_documents
from adapters.files.profile_source import PROFILES_FILE, generate_profiles, load_profile_sets, write_profiles
from domain.errors import ConfigurationError

_DEFAULT = Path(__file__).resolve().parent.parent / "distributions"


def main(directory: Path = _DEFAULT) -> int:
    """Expand `source.yaml` and `oscap.yaml` of the directory into its folders and links; the exit status."""
    try:
        source = load_source(directory / SOURCE_FILE)
        documents = generate_documents(source)
        profiles = generate_profiles(source, load_profile_sets(directory / PROFILES_FILE))
        changed = write_documents(documents, directory)
        changed_profiles = write_profiles(profiles, directory)
    except ConfigurationError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 1
    sys.stdout.write(f"{len(documents)} distributions, {len(changed)} written\n")
    sys.stdout.write(f"{len(profiles)} OpenSCAP profiles, {len(changed_profiles)} written\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
