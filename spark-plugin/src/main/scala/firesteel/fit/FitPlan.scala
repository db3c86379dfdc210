package firesteel.fit

import java.security.SecureRandom
import java.util.{HexFormat, UUID}

import firesteel.bridge.{NativeError, NativeErrors}
import firesteel.checkpoint.CheckpointPlan
import firesteel.cluster.{HostAddress, ShardServer, TlsFiles}
import firesteel.data.DataPlan
import firesteel.network.{SafeTensors, TorchScriptArchive}
import firesteel.plugin.Configuration
import firesteel.util.Json
import org.apache.spark.SparkConf
import org.json4s.JsonAST.{JArray, JBool, JInt, JNothing, JObject, JString, JValue}

/** One fit with every option resolved: the source of the documents for server and workers.
  *
  * @param network
  *   the `NetworkSpec`
  * @param data
  *   the columns, with the inputs' shapes
  * @param losses
  *   the `TermSpec` of each output
  * @param optimizer
  *   the `OptimizerSpec` of a fit with this many workers
  * @param strategy
  *   the `StrategySpec` of a fit with this many workers in this many tasks
  * @param controls
  *   the `ControlSpec`
  * @param workers
  *   the number of workers on a cluster with this many slots
  * @param requestedWorkers
  *   the number of workers that the user set, if any
  * @param batchSize
  *   rows of a mini-batch of each of this many workers
  * @param epochs
  *   passes over the data
  * @param seed
  *   the seed of initial weights, order of rows and dropout
  * @param shuffle
  *   true if each epoch has a new order of rows
  * @param showProgress
  *   true if a progress line is drawn; the configuration decides if not given
  * @param serverShards
  *   the number of servers that hold the center variable
  * @param checkpoint
  *   the checkpoints, if there are any
  * @param initialWeights
  *   the initial weights; a module's own, or new ones from the seed, if not given
  * @param module
  *   the archive of a TorchScript network
  * @param inRounds
  *   true if the strategy has rounds of all workers
  * @param parameters
  *   the number of the network's trained parameters
  * @param weightBytes
  *   the size of the saved weights in bytes
  * @param candidate
  *   the description of the fit, if it is one of several
  * @param workerDependentSettings
  *   the user's settings that determine strategy, mini-batch and learning rate together with the number of workers
  * @param decisions
  *   the decisions for this many workers on this many slots, a sentence each
  */
private[firesteel] final case class FitPlan(
    network: JObject,
    data: DataPlan,
    losses: Seq[JObject],
    optimizer: Int => JObject,
    strategy: (Int, Int) => JObject,
    controls: JObject,
    workers: Int => Int,
    requestedWorkers: Option[Int],
    batchSize: Int => Int,
    epochs: Int,
    seed: Long,
    shuffle: Boolean,
    showProgress: Option[Boolean],
    serverShards: Int = 1,
    checkpoint: Option[CheckpointPlan] = None,
    initialWeights: Option[SafeTensors] = None,
    module: Option[TorchScriptArchive] = None,
    inRounds: Boolean = false,
    parameters: Long = 0,
    weightBytes: Long = 0,
    candidate: Option[String] = None,
    workerDependentSettings: JObject = JObject(),
    decisions: (Int, Int) => Seq[String] = (_, _) => Nil
) {

  /** Returns a message of this fit, which names the fit if it is one of several. */
  def withName(message: String): String = candidate.fold(message)(name => s"$name: $message")

  /** The archive of a TorchScript network as native code takes it: null if there is none. */
  def moduleBytes: Array[Byte] = module.map(_.bytes).orNull

  private val unsignedSeed: JInt = JInt(BigInt(java.lang.Long.toUnsignedString(seed)))

  /** Returns the `FootprintSpec` of a fit with this many workers. */
  def footprint(workers: Int): String = Json.text(
    JObject(
      "parameters" -> JInt(parameters),
      "weightBytes" -> JInt(weightBytes),
      "strategy" -> strategy(workers, workers),
      "optimizer" -> optimizer(workers),
      "controls" -> controls,
      "workers" -> JInt(workers)
    )
  )

  /** Returns the `ServerSpec`.
    *
    * @param tasks
    *   the tasks that the workers are spread over
    */
  def server(
      identity: FitIdentity,
      workers: Int,
      tasks: Int,
      conf: SparkConf,
      shards: Seq[ShardServer] = Nil
  ): String = Json.text(
    JObject(
      "fit" -> JString(identity.fit),
      "network" -> network,
      "data" -> data.json,
      "strategy" -> strategy(workers, tasks),
      "optimizer" -> optimizer(workers),
      "controls" -> controls,
      "workers" -> JInt(workers),
      "tasks" -> JInt(tasks),
      "epochs" -> JInt(epochs),
      "seed" -> unsignedSeed,
      "bindAddress" -> JString(FitPlan.bindAddress(conf)),
      "port" -> JInt(Configuration.ServerPort.get(conf)),
      "portMaxRetries" -> JInt(conf.getInt("spark.port.maxRetries", 16)),
      "secret" -> JString(identity.secret),
      "leaseMillis" -> JInt(Configuration.ServerLease.get(conf)),
      "startTimeoutMillis" -> JInt(Configuration.StartTimeout.get(conf)),
      "tls" -> TlsFiles.server(conf),
      "shards" -> driversShards(identity, conf, shards)
    )
  )

  private def driversShards(
      identity: FitIdentity,
      conf: SparkConf,
      shards: Seq[ShardServer]
  ): JValue =
    if (shards.isEmpty) JNothing
    else
      JObject(
        "servers" -> JArray(shards.map(_.json).toList),
        "driverSecret" -> JString(identity.driverSecret),
        "timeoutMillis" -> JInt(Configuration.ServerTimeout.get(conf)),
        "tls" -> TlsFiles.driver(conf)
      )

  /** Returns the `ShardSpec` of one shard without the executor's own settings: see [[firesteel.cluster.ShardTask]]. */
  def shard(
      identity: FitIdentity,
      number: Int,
      workers: Int,
      tasks: Int,
      conf: SparkConf
  ): String =
    Json.text(
      JObject(
        "fit" -> JString(identity.fit),
        "shard" -> JInt(number),
        "shards" -> JInt(serverShards),
        "network" -> network,
        "data" -> data.json,
        "strategy" -> strategy(workers, tasks),
        "optimizer" -> optimizer(workers),
        "workers" -> JInt(workers),
        "port" -> JInt(Configuration.ServerPort.get(conf)),
        "portMaxRetries" -> JInt(conf.getInt("spark.port.maxRetries", 16)),
        "secret" -> JString(identity.secret),
        "driverSecret" -> JString(identity.driverSecret),
        "silenceMillis" -> JInt(2 * Configuration.ServerTimeout.get(conf))
      )
    )

  /** Returns the common part of all tasks' `WorkerSpec`s. */
  def worker(
      identity: FitIdentity,
      workers: Int,
      tasks: Int,
      port: Int,
      conf: SparkConf,
      shards: Seq[ShardServer] = Nil
  ): String =
    Json.text(
      JObject(
        "server" -> JObject(
          "fit" -> JString(identity.fit),
          "host" -> JString(FitPlan.host(conf)),
          "port" -> JInt(port),
          "secret" -> JString(identity.secret),
          "timeoutMillis" -> JInt(Configuration.ServerTimeout.get(conf)),
          "tls" -> TlsFiles.worker(conf),
          "shards" -> (if (shards.isEmpty) JNothing else JArray(shards.map(_.json).toList))
        ),
        "network" -> network,
        "data" -> data.json,
        "losses" -> JArray(losses.toList),
        "optimizer" -> optimizer(workers),
        "strategy" -> strategy(workers, tasks),
        "controls" -> controls,
        "batchSize" -> JInt(batchSize(workers)),
        "epochs" -> JInt(epochs),
        "seed" -> unsignedSeed,
        "shuffle" -> JBool(shuffle),
        "givenWeights" -> initialWeights.fold[JValue](JNothing)(_ => JBool.True)
      )
    )
}

private[firesteel] object FitPlan {

  private def bindAddress(conf: SparkConf): String =
    HostAddress.withoutBrackets(conf.get("spark.driver.bindAddress", host(conf)))

  private def host(conf: SparkConf): String =
    HostAddress.withoutBrackets(conf.get("spark.driver.host"))

  /** Returns a failure that names its candidate of a search, if a candidate can have this kind of failure. */
  def withCandidateName(candidate: String, error: Throwable): Throwable = {
    val message = s"$candidate: ${error.getMessage}"
    error match {
      case native: NativeError => NativeErrors.create(native.code, message).initCause(error)
      case _: IllegalArgumentException => new IllegalArgumentException(message, error)
      case _ => error
    }
  }

  /** Returns the part of the `WorkerSpec` that is specific to one task. */
  def ofTask(
      partition: Int,
      attempt: Long,
      workers: Int,
      threads: Int,
      cacheBytes: Long,
      spillDirectories: Seq[String]
  ): JObject = JObject(
    "partition" -> JInt(partition),
    "attempt" -> JInt(attempt),
    "workersInTask" -> JInt(workers),
    "threads" -> JInt(threads),
    "cacheBytes" -> JInt(cacheBytes),
    "spillDirectories" -> JArray(spillDirectories.map(JString(_)).toList)
  )
}

/** The name of a fit, the secret that authenticates its servers and workers to each other, and the secret that
  * authenticates the driver to its shards.
  */
private[firesteel] final class FitIdentity private (
    val fit: String,
    val secret: String,
    val driverSecret: String
) {
  override def toString: String = s"FitIdentity($fit)"
}

private[firesteel] object FitIdentity {
  private val SecretBytes = 32

  /** Returns a new identity; a secret is 256 random bits as 64 hexadecimal digits. */
  def random(): FitIdentity =
    new FitIdentity(UUID.randomUUID().toString, secret(), secret())

  private def secret(): String = {
    val bytes = new Array[Byte](SecretBytes)
    new SecureRandom().nextBytes(bytes)
    HexFormat.of().formatHex(bytes)
  }
}
