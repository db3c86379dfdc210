package firesteel.fit

import firesteel.bridge.NativeRuntime
import firesteel.checkpoint.Fingerprint
import firesteel.data.{DataPlan, PartitionReader, PartitionStream, SpreadRows}
import firesteel.plugin.NativeSetup
import org.apache.spark.SparkConf
import org.apache.spark.sql.DataFrame
import org.json4s.JsonAST.{JInt, JNothing, JObject, JString, JValue}
import org.json4s.JsonDSL._
import org.json4s.jackson.JsonMethods.parse

/** Builds the fingerprints of fits. */
private[firesteel] object FitFingerprint {

  /** The fields of the documents that describe one run and do not change its result. */
  private val NotFingerprinted = Set(
    "fit",
    "bindAddress",
    "host",
    "port",
    "portMaxRetries",
    "secret",
    "leaseMillis",
    "startTimeoutMillis",
    "timeoutMillis",
    "tls",
    "server",
    "tasks"
  )

  /** Returns the fingerprint of a fit. It does not depend on the slots of the cluster. So the number of workers, which
    * follows from them by default, is a part of it only if the user has set it.
    *
    * @param content
    *   the rows of the fit
    */
  def of(plan: FitPlan, content: DataContent): Fingerprint =
    Fingerprint(lasting(plan, content.conf) ~ ("content" -> content.json))

  /** Returns the settings of a fit that do not depend on the cluster. */
  private[firesteel] def lasting(plan: FitPlan, conf: SparkConf): JObject = {
    val all = settings(plan, plan.requestedWorkers.getOrElse(1), conf)
    if (plan.requestedWorkers.nonEmpty) all
    else {
      all.transformField { case ("server", server: JObject) =>
        "server" -> JObject(server.obj.filterNot(_._1 == "workers"))
      } match {
        case settings: JObject => settings
        case _ => all
      }
    }
  }

  /** Returns the settings of a fit, without its data. */
  def settings(plan: FitPlan, workers: Int, conf: SparkConf): JObject = {
    val identity = FitIdentity.random()
    JObject(
      "server" -> lasting(plan.server(identity, workers, tasks = 1, conf)),
      "worker" -> lasting(plan.worker(identity, workers, tasks = 1, port = 0, conf)),
      "spreadRows" -> JString(plan.data.spread.name),
      "asked" -> plan.workerDependentSettings,
      "initialWeights" -> plan.initialWeights.fold[JValue](JNothing)(file => JString(file.hash))
    )
  }

  private def lasting(document: String): JObject = parse(document) match {
    case JObject(fields) => JObject(fields.filterNot { case (name, _) => NotFingerprinted(name) })
    case _ => throw new IllegalStateException("a specification is not a JSON object")
  }
}

/** The content of a DataFrame's rows, independent of their order and partitions.
  *
  * @param df
  *   the rows, which are read in one job on the first access
  * @param data
  *   the columns of the content
  * @param tasks
  *   the number of tasks that read the rows, which decides the rows of each worker
  */
private[firesteel] final class DataContent(df: DataFrame, data: DataPlan, val tasks: Int) {

  def conf: SparkConf = df.sparkSession.sparkContext.getConf

  /** The number of rows and a hash of them. */
  lazy val json: JObject = {
    // The digest does not depend on the task that reads a row.
    val withoutShuffle = data.copy(spread = SpreadRows.Never)
    val digests =
      try
        PartitionReader
          .runTasks(df, withoutShuffle, tasks)(new DigestTask(data.toJson))
          .rdd
          .collect()
      catch { case error: Throwable => throw FitJob.nativeCause(error) }
    def total(field: String): BigInt =
      digests.map(text => parse(text) \ field).collect { case JInt(value) => value }.sum
    JObject("rows" -> JInt(total("rows")), "hash" -> JInt(total("content").mod(BigInt(2).pow(64))))
  }
}

/** The task that hashes the rows of its partition.
  *
  * @param data
  *   the `DataSpec`
  */
private[firesteel] final class DigestTask(data: String)
    extends (PartitionStream => String)
    with Serializable {

  override def apply(stream: PartitionStream): String = {
    NativeSetup.ensureLoaded()
    var digest = ""
    stream.feed(address => digest = NativeRuntime.digest(data, address))
    digest
  }
}
