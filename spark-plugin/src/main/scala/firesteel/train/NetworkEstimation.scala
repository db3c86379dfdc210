package firesteel.train

import firesteel.data.{ColumnResolver, DataPlan, InputRequest, LabelColumn}
import firesteel.network.{Network, NetworkJson}
import firesteel.params.{HasNetwork, InputRequests, LossParams, TrainingParams}
import org.apache.spark.ml.param.Param
import org.apache.spark.ml.param.shared.{HasLabelCol, HasWeightCol}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.types.StructType
import org.json4s.JsonAST.{JDouble, JObject}

/** What every estimator of this library does between its parameters and the training job. */
private[firesteel] trait NetworkEstimation
    extends TrainingParams
    with HasNetwork
    with HasWeightCol {

  /** What the estimator asks of the columns that feed a network, one request for each input. */
  private[firesteel] def inputRequests(network: Network, schema: StructType): Seq[InputRequest]

  /** The weight column, if there is one. */
  private[firesteel] final def weightColumn: Option[String] = get(weightCol).filter(_.nonEmpty)

  /** Checks the columns of a schema, without data.
    *
    * @throws java.lang.IllegalArgumentException
    *   naming the column, its type and what is accepted
    */
  protected final def checkColumns(schema: StructType, labels: Seq[LabelColumn]): Unit =
    ColumnResolver.check(
      schema,
      inputRequests(requiredNetwork, schema),
      labels,
      weightColumn,
      validationRows
    )

  /** Trains the network on a DataFrame, from its own weights if it has some.
    *
    * @param df
    *   any batch DataFrame
    * @param targets
    *   what is learnt: one for each of the network's outputs
    */
  protected final def trainNetwork(df: DataFrame)(
      targets: Inspection => Seq[Target]
  ): FittedNetwork = {
    val network = requiredNetwork
    // First what needs neither data nor a cluster.
    val optimizer = fitOptimizerSpec
    val _ = strategySpec(workers = 1)
    val inputs = ColumnResolver.resolve(df, inputRequests(network, df.schema), Nil).inputs
    val inspection = Inspection.of(network, inputs)
    network.start.foreach(weights => Inspection.checkWeights(network, inputs, weights))
    val learnt = targets(inspection)
    val labels = learnt.map(_.label)
    ColumnResolver.check(df.schema, Nil, labels)
    val data = DataPlan(inputs, labels, weightColumn, validationRows)
    val controls = controlSpec(getEpochs, Target.metrics(network.outputs, learnt))
    val losses = learnt.map(_.term)
    Inspection.check(network, data, losses, controls)
    val plan = FitPlan(
      NetworkJson.specification(network),
      data,
      losses,
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
      network.start,
      network.module
    )
    val trained = FitJob.run(df, plan)
    val untrained = network.withoutWeights
    new FittedNetwork(untrained, inputs, inspection.outputs, trained.weights, trained.summary)
  }

  /** The network, which must be set. */
  protected final def requiredNetwork: Network =
    if (isSet(network)) getNetwork
    else throw new IllegalArgumentException(s"$uid has no network; give it one with setNetwork")

  /** What a fit logs of its parameters. */
  protected def logged: Seq[Param[_]] =
    Seq(
      weightCol,
      strategy,
      window,
      numWorkers,
      optimizer,
      learningRate,
      batchSize,
      epochs,
      seed
    ) ++
      Seq(schedule, validationIndicatorCol, validationFraction)
}

/** What the estimators of networks with one input and one output have. */
private[firesteel] trait SingleEstimation
    extends NetworkEstimation
    with InputRequests
    with HasLabelCol
    with LossParams {

  private[firesteel] override final def inputRequests(
      network: Network,
      schema: StructType
  ): Seq[InputRequest] = Seq(inputRequest(network, schema))

  override protected def logged: Seq[Param[_]] = Seq(labelCol, featuresCol, loss) ++ super.logged
}

/** What one output of a network learns.
  *
  * @param label
  *   the label that it is compared with
  * @param loss
  *   the `LossSpec`
  * @param metrics
  *   what is computed of it on validation rows unless the user says otherwise
  * @param weight
  *   what the loss is multiplied with
  */
private[firesteel] final case class Target(
    label: LabelColumn,
    loss: JObject,
    metrics: Seq[String],
    weight: Double = 1.0
) {

  /** The `TermSpec`. */
  def term: JObject = JObject("loss" -> loss, "weight" -> JDouble(weight))
}

private[firesteel] object Target {

  /** What is computed of these outputs: by the metrics' own names of one, as `<output>_<metric>` of several. */
  def metrics(outputs: Seq[String], targets: Seq[Target]): Seq[String] = targets match {
    case Seq(only) => only.metrics
    case several =>
      outputs.zip(several).flatMap { case (output, target) =>
        target.metrics.map(metric => s"${output}_$metric")
      }
  }
}
