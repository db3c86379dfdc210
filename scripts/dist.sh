#!/usr/bin/env bash
# dist/: the jars under their Maven names, and dist/maven: the same as a Maven repository, so that
#   spark-submit --repositories file://.../dist/maven --packages io.github.firesteel:firesteel_2.13:0.1.0
# and mvn deploy:deploy-file work on it. Beside them an archive of the job server with its licenses.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cd "$ROOT"

"$ROOT/scripts/sbt" --error firesteel/packageSrc firesteel/packageDoc

temp="$(mktemp -d "$ROOT/build/.dist.XXXXXX")"
trap 'rm -rf "$temp"' EXIT

# add ARTIFACT VERSION CLASSIFIER FILE: into the repository, and beside it under the same name.
add() {
  local folder="$temp/maven/io/github/firesteel/$1/$2" name="$1-$2${3:+-$3}.${4##*.}"
  mkdir -p "$folder"
  cp "$4" "$folder/$name"
  (cd "$folder" && sha1sum "$name" | cut -d' ' -f1 >"$name.sha1")
  ln "$folder/$name" "$temp/$name"
}

# pom ARTIFACT VERSION DESCRIPTION LICENSE LICENSE-URL: with all fields that Maven Central requires. There are no
# dependencies: Spark has some, the jar contains the others.
pom() {
  cat >"$temp/artifact.pom" <<POM
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>io.github.firesteel</groupId>
  <artifactId>$1</artifactId>
  <version>$2</version>
  <packaging>jar</packaging>
  <name>$1</name>
  <description>$3</description>
  <url>$PROJECT_URL</url>
  <licenses>
    <license>
      <name>$4</name>
      <url>$5</url>
    </license>
  </licenses>
  <developers>
    <developer>
      <name>The Firesteel authors</name>
      <url>$PROJECT_URL</url>
    </developer>
  </developers>
  <scm>
    <connection>scm:git:$PROJECT_URL.git</connection>
    <developerConnection>scm:git:$PROJECT_URL.git</developerConnection>
    <url>$PROJECT_URL</url>
    <tag>v$FIRESTEEL_VERSION</tag>
  </scm>
</project>
POM
  add "$1" "$2" "" "$temp/artifact.pom"
  rm "$temp/artifact.pom"
}

plugin="firesteel_$SCALA_BINARY"
jars="spark-plugin/target/scala-$SCALA_BINARY/$plugin-$FIRESTEEL_VERSION"
pom "$plugin" "$FIRESTEEL_VERSION" "Deep learning on Apache Spark DataFrames" \
  "Apache-2.0" "https://www.apache.org/licenses/LICENSE-2.0"
add "$plugin" "$FIRESTEEL_VERSION" "" build/firesteel.jar
add "$plugin" "$FIRESTEEL_VERSION" sources "$jars-sources.jar"
add "$plugin" "$FIRESTEEL_VERSION" javadoc "$jars-javadoc.jar"

natives=firesteel-libtorch-cpu-linux-x86_64
version="$FIRESTEEL_VERSION-$LIBTORCH_VERSION"
pom "$natives" "$version" "libtorch $LIBTORCH_VERSION for the CPU, unpacked by Firesteel on first use" \
  "BSD-3-Clause" "https://github.com/pytorch/pytorch/blob/v$LIBTORCH_VERSION/LICENSE"
add "$natives" "$version" "" "build/$natives.jar"

server="firesteel-punchcard-$FIRESTEEL_VERSION-linux-x86_64"
mkdir -p "$temp/$server/licenses"
cp build/firesteel-punchcard LICENSE NOTICE "$temp/$server"
cp licenses/rust-crates.txt "$temp/$server/licenses"
cp examples/punchcard/punchcard.toml examples/punchcard/firesteel-punchcard.service "$temp/$server"
# The same input gives the same bytes.
tar -C "$temp" --sort=name --owner=0 --group=0 --numeric-owner --mtime=2020-01-01T00:00Z -c "$server" |
  gzip -n9 >"$temp/$server.tar.gz"
rm -r "${temp:?}/$server"

# Wheels stay: `make wheel` builds them.
find dist -maxdepth 1 '(' -name '*.whl' -o -name any ')' -exec mv -t "$temp" {} + 2>/dev/null || true
rm -rf dist
mv -T "$temp" dist
chmod 755 dist
trap - EXIT
(cd dist && ls -lh -- *.jar *.tar.gz | awk '{ printf "    dist/%s  %s\n", $9, $5 }')
