# shellcheck shell=bash
# Sourced after common.sh by scripts that run spark-submit of build/venv: its environment, a working folder that is
# removed with the script ($work), and submit.
export PATH="$ROOT/build/venv/bin:$PATH"
SPARK_HOME="$(cd "$(dirname "$(readlink -f "$ROOT/build/venv/bin/pyspark")")"/../lib/python*/site-packages/pyspark && pwd)"
export SPARK_HOME
# Executors get it through the configuration; a value for another installation must not interfere.
unset LIBTORCH
export SPARK_LOCAL_IP=127.0.0.1
# The JVM's options are split at spaces, which the path of a checkout may have.
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cp "$ROOT/scripts/log4j2.properties" "$work"
java_options="-Dlog4j2.configurationFile=file:$work/log4j2.properties"
# From JDK 22 on, loading a native library warns unless it is allowed.
if [ "$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -1)" -ge 22 ]; then
  java_options+=" --enable-native-access=ALL-UNNAMED"
fi
# Executors leave their working folders and logs behind.
export SPARK_WORKER_DIR="$work" SPARK_LOCAL_DIRS="$work/local"
mkdir "$SPARK_LOCAL_DIRS"

# submit MASTER DRIVER_MEMORY CLASS ARGUMENTS...: runs a class of the examples' jar with the plugin. Executors of a local cluster
# have 1 GiB each.
submit() {
  local master="$1" memory="$2" class="$3"
  shift 3
  spark-submit \
    --master "$master" \
    --driver-memory "$memory" \
    --conf spark.executor.memory=1g \
    --conf spark.plugins=firesteel.plugin.FiresteelPlugin \
    --conf spark.firesteel.libtorch.path="$ROOT/build/libtorch" \
    --conf spark.ui.enabled=false \
    --conf spark.driver.extraJavaOptions="$java_options" \
    --conf spark.executor.extraJavaOptions="$java_options" \
    --jars "$ROOT/build/firesteel.jar" \
    --class "firesteel.examples.$class" \
    "$ROOT/build/firesteel-examples.jar" "$@"
}
