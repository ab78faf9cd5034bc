"""Checks a log with another implementation of its formats: foreign.py FOLDER VERIFIER_KEY NEWEST OLDER PROOF ENTRY.

FOLDER holds the log's objects as files, NEWEST and OLDER are the keys of two checkpoints, PROOF is a file as
`archivectl log prove` writes it, and ENTRY the leaf that it is about, in hex. Prints the entries of all leaves in hex, a
line each; fails where anything does not hold.
"""

import base64
import sys
from pathlib import Path

import aics_tlog as tlog


def checkpoint(note, key):
    note = tlog.parse_note(note)
    verified = tlog.verify_checkpoint(note, key, expected_origin=key.name)
    assert verified.ok, verified
    return tlog.parse_checkpoint(note.text)


def main(folder, key, newest, older, proof, entry):
    key = tlog.parse_vkey(key)
    folder = Path(folder)
    newest = checkpoint((folder / newest).read_bytes(), key)
    older = checkpoint((folder / older).read_bytes(), key)
    reader = tlog.FileSystemTileReader(folder)
    tlog.audit_tiles(reader, newest.size, newest.root, entries=True)
    assert tlog.tree_root_from_tiles(reader, newest.size) == newest.root
    hashes = tlog.consistency_proof_from_tiles(reader, older.size, newest.size)
    assert tlog.verify_consistency(older.size, newest.size, older.root, newest.root, hashes)
    # The root of another tree is not taken.
    assert not tlog.verify_consistency(older.size, newest.size, bytes(32), newest.root, hashes)

    head, note = Path(proof).read_text().split("\n\n", 1)
    version, index, *hashes = head.splitlines()
    assert version == "c2sp.org/tlog-proof@v1", version
    index = int(index.removeprefix("index "))
    hashes = [base64.b64decode(line) for line in hashes]
    proven = checkpoint(note, key)
    leaf = bytes.fromhex(entry)
    assert tlog.verify_leaf_inclusion(leaf, index, proven.size, hashes, proven.root)
    assert not tlog.verify_leaf_inclusion(bytes(32), index, proven.size, hashes, proven.root)
    for leaf in range(newest.size):
        print(tlog.read_entry(reader, leaf, newest.size).hex())


main(*sys.argv[1:])
