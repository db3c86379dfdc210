package firesteel.e2e

import firesteel.bridge.NativeWorker
import firesteel.data._
import firesteel.plugin.NativeSetup
import org.apache.spark.sql.DataFrame
import org.json4s.JsonAST.JObject
import org.json4s.jackson.JsonMethods.{compact, parse, render}

/** Loads a DataFrame into native memory as a fit does, without training, for the benchmarks. */
object LoadRows {

  /** @param features
    *   the column of features
    * @param label
    *   the column of classes from 0 to 9
    * @param tasks
    *   the number of tasks
    * @param spread
    *   the distribution of the rows over the tasks: `auto`, `always` or `never`
    */
  def run(df: DataFrame, features: String, label: String, tasks: Int, spread: String): Unit = {
    val inputs = Seq(InputRequest("features", Seq(features)))
    val labels = Seq(LabelColumn(label, LabelKind.Class(classes = 10)))
    val plan = ColumnResolver.resolve(df, inputs, labels).copy(spread = SpreadRows(spread))
    PartitionReader.runTasks(df, plan, tasks)(new Load(specification(plan))).rdd.collect()
    ()
  }

  /** A `WorkerSpec` of a worker that is never run. */
  private def specification(plan: DataPlan): String =
    parse(unused) match {
      case fields: JObject => compact(render(JObject(fields.obj :+ ("data" -> plan.json))))
      case _ => throw new IllegalStateException("no object")
    }

  private val unused =
    """{"server": {"fit": "none", "host": "127.0.0.1", "port": 1, "secret": "", "timeoutMillis": 1},
      | "network": {"format": "firesteel.network/1", "inputs": ["features"], "outputs": ["0"],
      |             "nodes": [{"name": "0", "op": "Linear", "inputs": ["features"], "args": {"out_features": 10}}]},
      | "losses": [{"loss": {"name": "cross_entropy"}, "weight": 1}],
      | "optimizer": {"name": "sgd", "learningRate": 0.1, "momentum": 0, "dampening": 0, "nesterov": false,
      |               "weightDecay": 0},
      | "strategy": {"name": "single"}, "batchSize": 32, "epochs": 1, "seed": 0, "shuffle": true, "partition": 0,
      | "attempt": 0, "workersInTask": 1, "threads": 1, "cacheBytes": 4000000000, "spillDirectories": []}""".stripMargin

  private final class Load(specification: String)
      extends (PartitionStream => Unit)
      with Serializable {
    override def apply(stream: PartitionStream): Unit = {
      NativeSetup.ensureLoaded()
      val worker = NativeWorker.open(specification)
      try stream.feed(address => worker.load(address))
      finally worker.close()
    }
  }
}
