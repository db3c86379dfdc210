package firesteel.train

import java.security.SecureRandom
import java.util.UUID

import firesteel.data.DataPlan
import firesteel.plugin.Configuration
import org.apache.spark.SparkConf
import org.json4s.JsonAST.{JArray, JBool, JInt, JObject, JString, JValue}
import org.json4s.jackson.JsonMethods.{compact, render}

/** One fit with every option resolved: what the server's and the workers' documents are made of.
  *
  * @param network
  *   the `NetworkSpec`
  * @param data
  *   the columns, with the inputs' shapes
  * @param loss
  *   the `LossSpec`
  * @param optimizer
  *   the `OptimizerSpec`
  * @param strategy
  *   the `StrategySpec` of a fit with this many workers
  * @param controls
  *   the `ControlSpec`
  * @param workers
  *   how many workers a cluster with this many slots gets
  * @param requestedWorkers
  *   the workers that the user asked for, if he did
  * @param batchSize
  *   rows of a mini-batch
  * @param epochs
  *   passes over the data
  * @param seed
  *   decides initial weights, order of rows and dropout
  * @param shuffle
  *   whether each epoch has a new order of rows
  * @param showProgress
  *   whether a progress line is drawn; by the configuration if not given
  */
private[firesteel] final case class FitPlan(
    network: JObject,
    data: DataPlan,
    loss: JObject,
    optimizer: JObject,
    strategy: Int => JObject,
    controls: JObject,
    workers: Int => Int,
    requestedWorkers: Option[Int],
    batchSize: Int,
    epochs: Int,
    seed: Long,
    shuffle: Boolean,
    showProgress: Option[Boolean]
) {
  private val unsignedSeed: JInt = JInt(BigInt(java.lang.Long.toUnsignedString(seed)))

  /** The `ServerSpec`. */
  def server(identity: FitIdentity, workers: Int, conf: SparkConf): String = FitPlan.text(
    JObject(
      "fit" -> JString(identity.fit),
      "network" -> network,
      "data" -> data.json,
      "strategy" -> strategy(workers),
      "optimizer" -> optimizer,
      "controls" -> controls,
      "workers" -> JInt(workers),
      "epochs" -> JInt(epochs),
      "seed" -> unsignedSeed,
      "bindAddress" -> JString(FitPlan.bindAddress(conf)),
      "port" -> JInt(Configuration.ServerPort.get(conf)),
      "portMaxRetries" -> JInt(conf.getInt("spark.port.maxRetries", 16)),
      "secret" -> JString(identity.secret),
      "leaseMillis" -> JInt(Configuration.ServerLease.get(conf)),
      "startTimeoutMillis" -> JInt(Configuration.StartTimeout.get(conf)),
      "tls" -> TlsFiles.server(conf)
    )
  )

  /** What the `WorkerSpec`s of all tasks have in common. */
  def worker(identity: FitIdentity, workers: Int, port: Int, conf: SparkConf): String =
    FitPlan.text(
      JObject(
        "server" -> JObject(
          "fit" -> JString(identity.fit),
          "host" -> JString(FitPlan.host(conf)),
          "port" -> JInt(port),
          "secret" -> JString(identity.secret),
          "timeoutMillis" -> JInt(Configuration.ServerTimeout.get(conf)),
          "tls" -> TlsFiles.worker(conf)
        ),
        "network" -> network,
        "data" -> data.json,
        "loss" -> loss,
        "optimizer" -> optimizer,
        "strategy" -> strategy(workers),
        "controls" -> controls,
        "batchSize" -> JInt(batchSize),
        "epochs" -> JInt(epochs),
        "seed" -> unsignedSeed,
        "shuffle" -> JBool(shuffle)
      )
    )
}

private[firesteel] object FitPlan {

  private def bindAddress(conf: SparkConf): String =
    address(conf.get("spark.driver.bindAddress", host(conf)))

  private def host(conf: SparkConf): String = address(conf.get("spark.driver.host"))

  /** Without the brackets that Spark puts around an address of IPv6. */
  private def address(host: String): String = host.stripPrefix("[").stripSuffix("]")

  def text(json: JValue): String = compact(render(json))

  /** What the `WorkerSpec` of one task has beside what is common. */
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

/** A fit's name and the secret by which its server and its workers know each other. */
private[train] final class FitIdentity private (val fit: String, val secret: String) {
  override def toString: String = s"FitIdentity($fit)"
}

private[train] object FitIdentity {
  private val SecretBytes = 32

  /** A new one, with 256 random bits as 64 hexadecimal digits. */
  def random(): FitIdentity = {
    val bytes = new Array[Byte](SecretBytes)
    new SecureRandom().nextBytes(bytes)
    new FitIdentity(UUID.randomUUID().toString, bytes.map(byte => f"$byte%02x").mkString)
  }
}
