# shellcheck shell=bash
# Versions of the downloads of the set-up scripts, and of Firesteel. build.sbt has the libraries of the JVM side.
LIBTORCH_VERSION=2.13.0
SBT_VERSION=1.11.7
SPARK_VERSION=4.3.0
SCALA_BINARY=2.13
FIRESTEEL_VERSION=0.1.0
PROJECT_URL=https://github.com/firesteel-ml/firesteel
