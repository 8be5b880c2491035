"""Unpacks a zip into a folder and prints the names of its members, as JSON, with the file modes that they carry.

    python unzip.py ARCHIVE FOLDER
"""

import json
import sys
import zipfile


def main(archive_path, folder):
    with zipfile.ZipFile(archive_path) as archive:
        archive.extractall(folder)
        json.dump({member.filename: member.external_attr >> 16 for member in archive.infolist()}, sys.stdout)


main(*sys.argv[1:])
