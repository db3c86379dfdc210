package firesteel.train

import java.nio.charset.StandardCharsets.UTF_8
import java.security.MessageDigest

import firesteel.bridge.NativeRuntime
import firesteel.data.{DataPlan, DataRoad, PartitionStream, SpreadRows}
import firesteel.plugin.NativeSetup
import org.apache.spark.SparkConf
import org.apache.spark.sql.DataFrame
import org.json4s.JsonAST.{JArray, JInt, JNothing, JObject, JString, JValue}
import org.json4s.JsonDSL._
import org.json4s.jackson.JsonMethods.parse

/** What a fit is: everything that decides its result. Two fits of one fingerprint are the same fit.
  *
  * @param settings
  *   the documents of server and workers without what differs from run to run, the hash of the weights they start from,
  *   and the rows and content of the data
  */
private[train] final case class Fingerprint(settings: JObject) {

  /** 32 hexadecimal digits. */
  val text: String = {
    val canonical = FitPlan.text(Fingerprint.sorted(settings)).getBytes(UTF_8)
    val hash = MessageDigest.getInstance("SHA-256").digest(canonical)
    hash.take(Fingerprint.Bytes).map(byte => f"$byte%02x").mkString
  }
}

private[train] object Fingerprint {
  private val Bytes = 16

  /** What of the documents says how a run is done, and not what comes out. */
  private val OfTheRun = Set(
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

  /** The fingerprint of a fit. The slots of the cluster are no part of it: where the user has not set the number of
    * workers, which follows from them, neither is that.
    *
    * @param content
    *   what it trains on
    */
  def of(plan: FitPlan, content: DataContent): Fingerprint =
    Fingerprint(lasting(plan, content.conf) ~ ("content" -> content.json))

  /** The settings of a fit that stay when the cluster changes. */
  private[train] def lasting(plan: FitPlan, conf: SparkConf): JObject = {
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

  /** The settings of a fit, without its data. */
  def settings(plan: FitPlan, workers: Int, conf: SparkConf): JObject = {
    val identity = FitIdentity.random()
    JObject(
      "server" -> lasting(plan.server(identity, workers, tasks = 1, conf)),
      "worker" -> lasting(plan.worker(identity, workers, tasks = 1, port = 0, conf)),
      "spreadRows" -> JString(plan.data.spread.name),
      "asked" -> plan.asked,
      "initialWeights" -> plan.initialWeights.fold[JValue](JNothing)(file => JString(file.hash))
    )
  }

  private def lasting(document: String): JObject = parse(document) match {
    case JObject(fields) => JObject(fields.filterNot { case (name, _) => OfTheRun(name) })
    case _ => throw new IllegalStateException("a specification is no object")
  }

  private def sorted(json: JValue): JValue = json match {
    case JObject(fields) => JObject(fields.map { case (n, v) => n -> sorted(v) }.sortBy(_._1))
    case JArray(values) => JArray(values.map(sorted))
    case other => other
  }
}

/** What the rows of a DataFrame hold, whatever their order and their partitions.
  *
  * @param df
  *   the rows, which are read in one job when they are first asked for
  * @param data
  *   the columns that count
  * @param tasks
  *   the tasks that read them, which decides which rows each worker gets
  */
private[train] final class DataContent(df: DataFrame, data: DataPlan, val tasks: Int) {

  def conf: SparkConf = df.sparkSession.sparkContext.getConf

  /** The number of rows and a hash of them. */
  lazy val json: JObject = {
    // Which task reads a row is nothing to a digest.
    val asTheyLie = data.copy(spread = SpreadRows.Never)
    val digests =
      try DataRoad.runTasks(df, asTheyLie, tasks)(new DigestTask(data.toJson)).rdd.collect()
      catch { case error: Throwable => throw FitJob.typed(error) }
    def total(field: String): BigInt =
      digests.map(text => parse(text) \ field).collect { case JInt(value) => value }.sum
    JObject("rows" -> JInt(total("rows")), "hash" -> JInt(total("content").mod(BigInt(2).pow(64))))
  }
}

/** What a task does to tell what its rows hold.
  *
  * @param data
  *   the `DataSpec`
  */
private[train] final class DigestTask(data: String)
    extends (PartitionStream => String)
    with Serializable {

  override def apply(stream: PartitionStream): String = {
    NativeSetup.ensureLoaded()
    var digest = ""
    stream.feed(address => digest = NativeRuntime.digest(data, address))
    digest
  }
}
