package firesteel.plugin

import java.nio.file.Path

import org.apache.spark.SparkConf

/** Every configuration key of Firesteel, each declared once. They are set like Spark's own (`--conf`,
  * `spark-defaults.conf`) and apply to the application; settings of one fit are params of the estimator.
  * `docs/configuration.md` is generated from here.
  */
private[firesteel] object Configuration {
  private val Prefix = "spark.firesteel."
  private val PathKind =
    "a path; a relative one is searched in the working directory and among the files of `--files`"
  private val NotSet = "not set"

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
    "The folder on each machine for the unpacked native libraries, 350 MB a version, for all applications of a " +
      "user. Its file system must allow execution."
  )(requireAbsolute)

  val ServerPort: ConfigurationKey[Int] = ConfigurationKey.int(
    Prefix + "server.port",
    0 to 65535,
    0,
    "The port for the parameter server of a fit, on the driver and on executors with a shard; 0 lets the system choose. " +
      "If it is taken, up to `spark.port.maxRetries` further ones are tried."
  )

  val ServerLease: ConfigurationKey[Long] = ConfigurationKey.millis(
    Prefix + "server.lease",
    "60s",
    "The time for which a silent worker keeps its partition before a new attempt of its task may take over. It " +
      "matters only if Spark does not notice that the old attempt ended."
  )

  val ServerTimeout: ConfigurationKey[Long] = ConfigurationKey.millis(
    Prefix + "server.timeout",
    "60s",
    "The time for which a worker tries to reconnect to the parameter server before its task fails, and the " +
      "driver to a shard before the fit fails."
  )

  val StartTimeout: ConfigurationKey[Long] = ConfigurationKey.millis(
    Prefix + "start.timeout",
    "5min",
    "The time in which all workers of a fit must start. After it a strategy with rounds fails and reports the " +
      "number of missing slots; an asynchronous one logs a warning and trains with the workers that have started."
  )

  val CacheMemory: ConfigurationKey[Long] = ConfigurationKey.bytes(
    Prefix + "cache.memory",
    "half of the executor's memory overhead",
    "The memory outside the Java heap for the training data of all tasks of an executor. The rest is spilled to " +
      "memory-mapped files in Spark's local directories."
  )(MemoryOverhead.ofExecutor(_) / 2)

  val CandidatesMemory: ConfigurationKey[Long] = ConfigurationKey.bytes(
    Prefix + "candidates.memory",
    "half of the executor's memory overhead",
    "The memory outside the Java heap of an executor for the candidates of one `fit(df, paramMaps)` that train " +
      "at the same time, estimated from the size of their networks. More candidates train in several jobs."
  )(MemoryOverhead.ofExecutor(_) / 2)

  val MemoryCheck: ConfigurationKey[Boolean] = ConfigurationKey.boolean(
    Prefix + "memory.check",
    "`true`",
    "True to reject a fit before training if its parameter server or its workers need more memory outside the " +
      "Java heap than the driver or an executor has; `docs/memory.md` describes the estimate."
  )(_ => true)

  val Threads: ConfigurationKey[Int] = ConfigurationKey.int(
    Prefix + "threads",
    1 to Int.MaxValue,
    1,
    "Threads that libtorch uses within one task; at most `spark.task.cpus`."
  )

  val Progress: ConfigurationKey[Boolean] = ConfigurationKey.boolean(
    Prefix + "progress",
    "`spark.ui.showConsoleProgress`",
    "True to show a progress line on the driver's console during a fit."
  )(_.getBoolean("spark.ui.showConsoleProgress", defaultValue = false))

  val ProgressEvents: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "progress.events",
    "a path; a relative one is below the driver's working directory",
    NotSet + ": no events are written",
    "A file on the driver to which every fit of the application appends its progress as JSON lines, for programs that " +
      "follow fits; `docs/summary.md` describes the events."
  )(requireNonEmpty)

  val SslEnabled: ConfigurationKey[Boolean] = ConfigurationKey.boolean(
    Prefix + "ssl.enabled",
    "`false`",
    "True to encrypt the connections between workers and the parameter server with TLS 1.3. Tasks in the " +
      "driver's own process use memory instead."
  )(_ => false)

  val SslCertificate: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "ssl.certificate",
    PathKind,
    NotSet,
    "A PEM file on the driver with the parameter server's certificate, followed by those between it and its " +
      "authority. It must be valid for `spark.driver.host`, by DNS name or by IP address."
  )(requireNonEmpty)

  val SslPrivateKey: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "ssl.privateKey",
    PathKind,
    NotSet,
    "A PEM file on the driver with the key of `spark.firesteel.ssl.certificate`: PKCS #8, PKCS #1 or SEC1, not " +
      "encrypted."
  )(requireNonEmpty)

  val SslTrustedCertificates: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "ssl.trustedCertificates",
    PathKind,
    NotSet,
    "A PEM file on every machine with the certificates of the authorities that are trusted: by workers to issue the " +
      "parameter server's certificate, by the driver to issue the workers'."
  )(requireNonEmpty)

  val SslClientCertificate: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "ssl.clientCertificate",
    PathKind,
    NotSet + ": workers have no certificate",
    "A PEM file on every executor with the workers' certificate, followed by those between it and its authority."
  )(requireNonEmpty)

  val SslClientPrivateKey: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "ssl.clientPrivateKey",
    PathKind,
    NotSet,
    "A PEM file on every executor with the key of `spark.firesteel.ssl.clientCertificate`: PKCS #8, PKCS #1 or " +
      "SEC1, not encrypted."
  )(requireNonEmpty)

  val SslNeedClientAuth: ConfigurationKey[Boolean] = ConfigurationKey.boolean(
    Prefix + "ssl.needClientAuth",
    "`false`",
    "True to reject workers without a certificate. The certificate of a worker that has one is always verified."
  )(_ => false)

  /** All keys, by name. */
  val all: Seq[ConfigurationKey[_]] = Seq(
    LibtorchPath,
    NativeDirectory,
    ServerPort,
    ServerLease,
    ServerTimeout,
    StartTimeout,
    CacheMemory,
    CandidatesMemory,
    MemoryCheck,
    Threads,
    Progress,
    ProgressEvents,
    SslEnabled,
    SslCertificate,
    SslPrivateKey,
    SslTrustedCertificates,
    SslClientCertificate,
    SslClientPrivateKey,
    SslNeedClientAuth
  ).sortBy(_.name)

  /** Reads every key.
    *
    * @throws IllegalArgumentException
    *   naming a key that is unknown or has an invalid value
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
          "tasks would share cores; lower the former or raise the latter"
      )
    }
    if (SslEnabled.get(conf)) checkSsl(conf)
  }

  private def checkSsl(conf: SparkConf): Unit = {
    def isSet(key: ConfigurationKey[Option[String]]): Boolean = key.get(conf).nonEmpty
    Seq(SslCertificate, SslPrivateKey, SslTrustedCertificates).filterNot(isSet).foreach { key =>
      refuse(s"${SslEnabled.name} is true, but ${key.name} is not set")
    }
    if (isSet(SslClientCertificate) != isSet(SslClientPrivateKey)) {
      refuse(
        s"${SslClientCertificate.name} and ${SslClientPrivateKey.name} must be set together"
      )
    }
    if (SslNeedClientAuth.get(conf) && !isSet(SslClientCertificate)) {
      refuse(
        s"${SslNeedClientAuth.name} is true, but ${SslClientCertificate.name} is not set: " +
          "the parameter server would refuse every worker"
      )
    }
  }

  private def refuse(problem: String): Nothing = throw new IllegalArgumentException(problem)

  private def requireNonEmpty(text: String): Unit = require(text.nonEmpty)

  private def requireAbsolute(text: String): Unit = require(Path.of(text).isAbsolute)
}
