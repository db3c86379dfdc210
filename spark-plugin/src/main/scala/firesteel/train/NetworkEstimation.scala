package firesteel.train

import firesteel.data.{ColumnResolver, DataPlan, LabelColumn}
import firesteel.network.{Network, NetworkJson}
import firesteel.params.{HasNetwork, InputRequests, TrainingParams}
import org.apache.spark.ml.param.shared.{HasLabelCol, HasWeightCol}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.types.StructType
import org.json4s.JsonAST.JObject

/** What every estimator of this library does between its parameters and the training job. */
private[firesteel] trait NetworkEstimation
    extends InputRequests
    with TrainingParams
    with HasNetwork
    with HasLabelCol
    with HasWeightCol {

  /** The weight column, if there is one. */
  private[firesteel] final def weightColumn: Option[String] = get(weightCol).filter(_.nonEmpty)

  /** Checks the columns of a schema, without data.
    *
    * @throws java.lang.IllegalArgumentException
    *   naming the column, its type and what is accepted
    */
  protected final def checkColumns(schema: StructType, label: LabelColumn): Unit =
    ColumnResolver.check(
      schema,
      Seq(inputRequest(network = requiredNetwork, schema)),
      Seq(label),
      weightColumn,
      validationRows
    )

  /** Trains the network on a DataFrame, from its own weights if it has some.
    *
    * @param df
    *   any batch DataFrame
    * @param target
    *   what is learnt, given the network's outputs
    */
  protected final def trainNetwork(df: DataFrame)(target: Inspection => Target): FittedNetwork = {
    val network = requiredNetwork
    // First what needs neither data nor a cluster.
    val optimizer = fitOptimizerSpec
    val _ = strategySpec(workers = 1)
    val inputs = ColumnResolver.resolve(df, Seq(inputRequest(network, df.schema)), Nil).inputs
    val inspection = Inspection.of(network, inputs)
    network.start.foreach(weights => Inspection.checkWeights(network, inputs, weights))
    val learnt = target(inspection)
    val data = DataPlan(inputs, Seq(learnt.label), weightColumn, validationRows)
    val controls = controlSpec(getEpochs, learnt.metrics)
    Inspection.check(network, data, learnt.loss, controls)
    val plan = FitPlan(
      NetworkJson.specification(network),
      data,
      learnt.loss,
      optimizer,
      strategySpec(_),
      controls,
      workersOn,
      get(numWorkers),
      getBatchSize,
      getEpochs,
      getSeed,
      getShuffle,
      get(showProgress),
      ShardServers.within(getServerShards, inspection.parameters),
      get(checkpointDir).map(CheckpointPlan(_, getCheckpointSeconds, get(checkpointCommits))),
      network.start
    )
    val trained = FitJob.run(df, plan)
    val untrained = network.withoutWeights
    new FittedNetwork(untrained, inputs, learnt.output, trained.weights, trained.summary)
  }

  private def requiredNetwork: Network =
    if (isSet(network)) getNetwork
    else throw new IllegalArgumentException(s"$uid has no network; give it one with setNetwork")
}

/** What a network learns.
  *
  * @param label
  *   the label
  * @param loss
  *   the `LossSpec`
  * @param output
  *   the network's output that is compared with it
  * @param metrics
  *   what is computed of it on validation rows unless the user says otherwise
  */
private[firesteel] final case class Target(
    label: LabelColumn,
    loss: JObject,
    output: OutputInspection,
    metrics: Seq[String]
)
