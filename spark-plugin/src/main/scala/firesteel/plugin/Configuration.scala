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
    "a path; a relative one is looked up in the current directory, then among the files of `--files`"
  private val NotSet = "not set"

  val LibtorchPath: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "libtorch.path",
    "an absolute path",
    "not set: tries the environment variable `LIBTORCH`, the natives jar and Python's `torch`, in this order",
    "The folder of libtorch on every machine, with `lib/libtorch_cpu.so` and `build-version` or `version.py`."
  )(requireAbsolute)

  val NativeDirectory: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "native.directory",
    "an absolute path",
    "`firesteel-<user>` in `java.io.tmpdir`",
    "The folder on each machine for the unpacked native libraries of all applications of a user; each version takes " +
      "350 MB. Its file system must allow execution."
  )(requireAbsolute)

  val MklFastPaths: ConfigurationKey[Boolean] = ConfigurationKey.boolean(
    Prefix + "mkl.fastPaths",
    "`true`",
    "True to let the MKL inside libtorch use its kernels with AVX2 and AVX-512 on every processor that has the " +
      "instructions; false to let it use them on Intel's alone, as it does by itself. Results differ by rounding. On " +
      "AMD's processors the fast kernels speed up networks in TorchScript and large products of other networks."
  )(_ => true)

  val ServerPort: ConfigurationKey[Int] = ConfigurationKey.int(
    Prefix + "server.port",
    0 to 65535,
    0,
    "The port of a fit's parameter server, on the driver and on executors with a shard; 0 lets the operating system " +
      "choose. If the port is in use, up to `spark.port.maxRetries` further ports are tried."
  )

  val ServerLease: ConfigurationKey[Long] = ConfigurationKey.millis(
    Prefix + "server.lease",
    "60s",
    "The time after which a new attempt of a task may replace a worker that has stopped responding. It matters only " +
      "if Spark does not notice that the old attempt has ended."
  )

  val ServerTimeout: ConfigurationKey[Long] = ConfigurationKey.millis(
    Prefix + "server.timeout",
    "60s",
    "The time for which a worker tries to reconnect to the parameter server before its task fails, and the driver " +
      "tries to reconnect to a shard before the fit fails."
  )

  val StartTimeout: ConfigurationKey[Long] = ConfigurationKey.millis(
    Prefix + "start.timeout",
    "5min",
    "The time in which all workers of a fit must start. If they do not, a strategy with rounds fails and reports the " +
      "number of missing slots; an asynchronous strategy logs a warning and trains with the workers that have " +
      "started."
  )

  val CacheMemory: ConfigurationKey[Long] = ConfigurationKey.bytes(
    Prefix + "cache.memory",
    "half of the executor's memory overhead",
    "The memory outside an executor's Java heap for the training data of all its tasks. Data beyond this is spilled " +
      "to memory-mapped files in Spark's local directories."
  )(MemoryOverhead.ofExecutor(_) / 2)

  val CandidatesMemory: ConfigurationKey[Long] = ConfigurationKey.bytes(
    Prefix + "candidates.memory",
    "half of the executor's memory overhead",
    "The memory outside an executor's Java heap for the candidates of one `fit(df, paramMaps)` that train " +
      "concurrently, estimated from the size of their networks. Candidates that do not fit train in further jobs."
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
    "The number of threads that libtorch uses in one task; at most `spark.task.cpus`."
  )

  val Progress: ConfigurationKey[Boolean] = ConfigurationKey.boolean(
    Prefix + "progress",
    "`spark.ui.showConsoleProgress`",
    "True to show a progress line on the driver's console during a fit."
  )(_.getBoolean("spark.ui.showConsoleProgress", defaultValue = false))

  val ProgressEvents: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "progress.events",
    "a path, absolute or relative to the driver's current directory",
    NotSet + ": no events are written",
    "A file on the driver to which every fit of the application appends its progress as JSON lines, for programs that " +
      "follow fits; `docs/summary.md` describes the events."
  )(requireNonEmpty)

  val SslEnabled: ConfigurationKey[Boolean] = ConfigurationKey.boolean(
    Prefix + "ssl.enabled",
    "`false`",
    "True to encrypt the connections between workers and the parameter server with TLS 1.3. Tasks in the driver's " +
      "own process need no connection."
  )(_ => false)

  val SslCertificate: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "ssl.certificate",
    PathKind,
    NotSet,
    "A PEM file on the driver with the parameter server's certificate, followed by any intermediate certificates. " +
      "The certificate must be valid for `spark.driver.host`, by DNS name or by IP address."
  )(requireNonEmpty)

  val SslPrivateKey: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "ssl.privateKey",
    PathKind,
    NotSet,
    "A PEM file on the driver with the unencrypted private key of `spark.firesteel.ssl.certificate`, in PKCS #8, " +
      "PKCS #1 or SEC1."
  )(requireNonEmpty)

  val SslTrustedCertificates: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "ssl.trustedCertificates",
    PathKind,
    NotSet,
    "A PEM file on every machine with the certificates of trusted authorities. Workers use it to verify the " +
      "parameter server's certificate, the driver to verify those of the workers."
  )(requireNonEmpty)

  val SslClientCertificate: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "ssl.clientCertificate",
    PathKind,
    NotSet + ": workers have no certificate",
    "A PEM file on every executor with the workers' certificate, followed by any intermediate certificates."
  )(requireNonEmpty)

  val SslClientPrivateKey: ConfigurationKey[Option[String]] = ConfigurationKey.text(
    Prefix + "ssl.clientPrivateKey",
    PathKind,
    NotSet,
    "A PEM file on every executor with the unencrypted private key of `spark.firesteel.ssl.clientCertificate`, in " +
      "PKCS #8, PKCS #1 or SEC1."
  )(requireNonEmpty)

  val SslNeedClientAuth: ConfigurationKey[Boolean] = ConfigurationKey.boolean(
    Prefix + "ssl.needClientAuth",
    "`false`",
    "True to reject workers without a certificate. If a worker has a certificate, it is always verified."
  )(_ => false)

  /** All keys, by name. */
  val all: Seq[ConfigurationKey[_]] = Seq(
    LibtorchPath,
    NativeDirectory,
    MklFastPaths,
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
      refuse(s"unknown configuration key '$name'; use one of ${known.mkString(", ")}")
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
