package firesteel.plugin

import java.nio.file.Path

import org.apache.spark.SparkConf

/** Every configuration key of Firesteel, each declared once. They are given like Spark's own (`--conf`,
  * `spark-defaults.conf`) and hold for the application; what belongs to one fit is a param of the estimator.
  * `docs/configuration.md` is generated from here.
  */
object Configuration {
  private val Prefix = "spark.firesteel."

  val LibtorchPath: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "libtorch.path",
    "an absolute path",
    "not set: the environment variable `LIBTORCH`, then the natives jar, then Python's `torch`",
    "A folder with libtorch (`lib/libtorch_cpu.so` and `build-version` or `version.py`) on every machine."
  )(requireAbsolute)

  val NativeDirectory: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "native.directory",
    "an absolute path",
    "`firesteel-<user>` in `java.io.tmpdir`",
    "Where each machine keeps the unpacked native libraries, 350 MB a version, for all applications of a user. " +
      "Its file system must allow execution."
  )(requireAbsolute)

  val ServerPort: ConfigurationKey[Int] = ConfigurationKey.int(
    Prefix + "server.port",
    0 to 65535,
    0,
    "The driver's port for the parameter server of a fit; 0 lets the system choose. If it is taken, up to " +
      "`spark.port.maxRetries` further ones are tried."
  )

  val ServerLease: ConfigurationKey[Long] = ConfigurationKey.millis(
    Prefix + "server.lease",
    "60s",
    "How long a silent worker keeps its partition before a new attempt of its task may take over. Matters only " +
      "where Spark does not notice that the old attempt ended."
  )

  val ServerTimeout: ConfigurationKey[Long] = ConfigurationKey.millis(
    Prefix + "server.timeout",
    "60s",
    "How long a worker tries to reach the parameter server again before its task fails."
  )

  val StartTimeout: ConfigurationKey[Long] = ConfigurationKey.millis(
    Prefix + "start.timeout",
    "5min",
    "How long a fit waits for all its tasks to have started before it warns that slots are missing."
  )

  val CacheMemory: ConfigurationKey[Long] = ConfigurationKey.bytes(
    Prefix + "cache.memory",
    "half of the executor's memory overhead",
    "What the tasks of one executor together may keep of the training data outside the Java heap. The rest is " +
      "spilled to memory-mapped files in Spark's local directories."
  )(MemoryOverhead.of(_) / 2)

  val Threads: ConfigurationKey[Int] = ConfigurationKey.int(
    Prefix + "threads",
    1 to Int.MaxValue,
    1,
    "Threads that libtorch uses within one task; at most `spark.task.cpus`."
  )

  val Progress: ConfigurationKey[Boolean] = ConfigurationKey.boolean(
    Prefix + "progress",
    "`spark.ui.showConsoleProgress`",
    "Whether a fit shows a progress line on the driver's console."
  )(_.getBoolean("spark.ui.showConsoleProgress", defaultValue = false))

  /** All keys, by name. */
  val all: Seq[ConfigurationKey[_]] = Seq(
    LibtorchPath,
    NativeDirectory,
    ServerPort,
    ServerLease,
    ServerTimeout,
    StartTimeout,
    CacheMemory,
    Threads,
    Progress
  ).sortBy(_.name)

  /** Reads every key.
    *
    * @throws IllegalArgumentException
    *   naming a key that is unknown, or whose value does not fit
    */
  def check(conf: SparkConf): Unit = {
    val known = all.map(_.name)
    conf.getAll.map(_._1).filter(_.startsWith(Prefix)).sorted.diff(known).headOption.foreach { name =>
      refuse(s"unknown configuration key '$name'; known are ${known.mkString(", ")}")
    }
    all.foreach(_.get(conf))
    val (threads, cpus) = (Threads.get(conf), conf.getInt("spark.task.cpus", 1))
    if (threads > cpus) {
      refuse(
        s"${Threads.name} is $threads, more than spark.task.cpus, which is $cpus: " +
          "tasks would take each other's cores"
      )
    }
  }

  private def refuse(problem: String): Nothing = throw new IllegalArgumentException(problem)

  private def requireAbsolute(text: String): Unit = require(Path.of(text).isAbsolute)
}
